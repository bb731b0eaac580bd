import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { deadLinks } from './links.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pagesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}${name}`);
const pages = ['', 'docs/', 'bench/results/', '.github/'].flatMap(pagesIn);
const read = (path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined);

it.each(pages)('every link of %s leads to a file of the repository and a heading of it', (page) => {
  expect(deadLinks(page, read, (path) => existsSync(join(root, path)))).toEqual([]);
});

describe('a link leads nowhere', () => {
  const deadOf = (text: string) => {
    const files: Readonly<Record<string, string>> = {
      'docs/here.md': text,
      'docs/there.md': '# Two words\n\n## Again\n\n## Again\n\n## `code`, and *more*!\n\n<a id="by-hand"></a>\n',
      'docs/a picture.svg': '',
    };
    return deadLinks(
      'docs/here.md',
      (path) => files[path],
      (path) => path in files || path === 'docs',
    );
  };

  it.each([
    ['a page', '[x](there.md)'],
    ['a page from above', '[x](../docs/there.md)'],
    ['a folder', '[x](../docs)'],
    ['a heading', '[x](there.md#two-words)'],
    ['the second of two headings of one name', '[x](there.md#again-1)'],
    ['a heading with code and a sign', '[x](there.md#code-and-more)'],
    ["HTML's anchor", '[x](there.md#by-hand)'],
    ['a heading of its own page', '# Own\n\n[x](#own)'],
    ['a file with a space in its name', '![x](<a picture.svg>)\n\n![x](a%20picture.svg)'],
    ['another host', '[x](https://example.org/none#none), <mailto:a@example.org>'],
    ['nothing, since it is code', '`[x](none.md)`\n\n```md\n[x](none.md)\n```'],
  ])('not where it points at %s', (_, text) => {
    expect(deadOf(text)).toEqual([]);
  });

  it.each([
    ['a page that is not there', '[x](none.md)', 'docs/here.md: none.md: no such file'],
    ['a picture that is not there', '![x](none.svg)', 'docs/here.md: none.svg: no such file'],
    ["HTML's picture that is not there", '<img src="none.svg">', 'docs/here.md: none.svg: no such file'],
    ['a reference that is not there', '[x][1]\n\n[1]: none.md', 'docs/here.md: none.md: no such file'],
    ['a heading that is not there', '[x](there.md#again-2)', 'docs/here.md: there.md#again-2: no such heading'],
    ['a heading that its own page has not', '[x](#own)', 'docs/here.md: #own: no such heading'],
    [
      "the host's root",
      '[x](/docs/there.md)',
      "docs/here.md: /docs/there.md begins at the host's root, not the repository's",
    ],
    ['a page that is not there, in a table', '| a |\n| --- |\n| [x](none.md) |', 'docs/here.md: none.md: no such file'],
  ])('where it points at %s', (_, text, line) => {
    expect(deadOf(text)).toEqual([line]);
  });
});
