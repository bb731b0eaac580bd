import { visibleLines } from './text.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** HTML or SVG in which nothing is left to be escaped. {@link markup} and {@link trusted} alone make it. */
class Source {
  constructor(private readonly source: string) {}

  toString(): string {
    return this.source;
  }
}
export type Markup = Source;

/** What may stand in markup: text and numbers, which are escaped there, markup, and lists of these, one after another. */
export type Content = string | number | Markup | readonly Content[];

/**
 * Tags a template of HTML or SVG: what is inserted between its own characters is escaped, but for markup. Values of attributes are to be
 * in quotes. Text from outside shows there what {@link visibleLines} shows.
 */
export function markup(literals: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Source(literals.map((literal, index) => literal + sourceOf(contents[index] ?? '')).join(''));
}

/** Markup that a library has made, or a style sheet of our own, as it is. */
export function trusted(source: string): Markup {
  return new Source(source);
}

/** Contents with line breaks between them. */
export function inLines(contents: readonly Content[]): Markup {
  return new Source(contents.map(sourceOf).join('\n'));
}

function sourceOf(content: Content): string {
  if (content instanceof Source) return content.toString();
  if (typeof content === 'number') return String(content);
  if (typeof content === 'string')
    return visibleLines(content).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
  return content.map(sourceOf).join('');
}
