import { inLines, type Markup, markup } from '../../markup.js';

export interface DataTable {
  /** For who hears the page. */
  readonly label: string;
  readonly headings: readonly string[];
  /** `<tr>` elements. */
  readonly rows: readonly Markup[];
  /** How many columns, from the first on, hold no numbers. */
  readonly words: number;
}

/** A table that scrolls by itself where the page is narrow, by keyboard too. */
export function dataTable({ label, headings, rows, words }: DataTable): Markup {
  const head = headings.map((heading, index) =>
    index < words ? markup`<th scope="col">${heading}</th>` : markup`<th scope="col" class="number">${heading}</th>`,
  );
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="${label}"><table><thead><tr>${head}</tr></thead><tbody>${inLines(rows)}</tbody></table></div>`;
}

export const numberCell = (text: string): Markup => markup`<td class="number">${text}</td>`;

/** Terms with what is told of each, in two columns. */
export function termList(items: readonly (readonly [term: string, told: string])[]): Markup {
  return markup`<dl class="columns">${items.map(([term, told]) => markup`<div><dt>${term}</dt><dd>${told}</dd></div>`)}</dl>`;
}

export function bulletList(items: readonly string[]): Markup {
  return markup`<ul>${items.map((each) => markup`<li>${each}</li>`)}</ul>`;
}

export const percent = (value: number, digits = 1): string => `${value.toFixed(digits)} %`;
