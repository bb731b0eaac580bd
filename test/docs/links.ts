import GithubSlugger from 'github-slugger';
import type { Nodes } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { toString } from 'mdast-util-to-string';

/** What a Markdown page points at, and what it offers to be pointed at. */
interface PageLinks {
  /** Addresses of links and pictures, HTML's included, in the order in which they stand. */
  readonly targets: readonly string[];
  /** The anchors of the page: headings as GitHub names them, and what HTML calls by `id` or `name`. */
  readonly anchors: ReadonlySet<string>;
}

function linksOf(markdown: string): PageLinks {
  const slugger = new GithubSlugger();
  const targets: string[] = [];
  const anchors = new Set<string>();
  const visit = (node: Nodes): void => {
    if (node.type === 'link' || node.type === 'image' || node.type === 'definition') targets.push(node.url);
    if (node.type === 'heading') anchors.add(slugger.slug(toString(node)));
    if (node.type === 'html') {
      targets.push(...valuesOf(node.value, 'href|src'));
      for (const anchor of valuesOf(node.value, 'id|name')) anchors.add(anchor);
    }
    if ('children' in node) node.children.forEach(visit);
  };
  const page = fromMarkdown(markdown);
  visit(page);
  return { targets, anchors };
}

/** The values of attributes in a piece of HTML. */
const valuesOf = (html: string, names: string): string[] =>
  [...html.matchAll(new RegExp(`\\s(?:${names})=["']([^"']*)["']`, 'g'))].flatMap(([, value]) => value ?? []);

/** Whether an address leads out of the repository: it begins with a scheme, or with the host. */
const isExternal = (target: string): boolean => /^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(target);

/**
 * The links of a page that lead nowhere, as a line each: what they point at is no file or folder of the repository, or has no such anchor.
 * @param read the text of the Markdown page at a path from the repository's root; undefined where no page is.
 * @param isThere whether a file or folder is at a path from the repository's root.
 */
export function deadLinks(
  page: string,
  read: (path: string) => string | undefined,
  isThere: (path: string) => boolean,
): string[] {
  const own = linksOf(read(page) ?? '');
  return own.targets
    .filter((target) => !isExternal(target))
    .flatMap((target) => {
      const [path = '', anchor] = target.split('#').map(decodeURIComponent);
      if (path.startsWith('/')) return [`${page}: ${target} begins at the host's root, not the repository's`];
      const at = path === '' ? page : new URL(path, `file:///${page}`).pathname.slice(1);
      if (path !== '' && !isThere(decodeURIComponent(at))) return [`${page}: ${target}: no such file`];
      if (!anchor || !at.endsWith('.md')) return [];
      const anchors = path === '' ? own.anchors : linksOf(read(decodeURIComponent(at)) ?? '').anchors;
      return anchors.has(anchor) ? [] : [`${page}: ${target}: no such heading`];
    });
}
