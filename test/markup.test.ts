import { expect, it } from 'vitest';
import { inLines, markup, trusted } from '../src/markup.js';

it('escapes what is inserted, in text and in attributes', () => {
  const name = `<b title="x">Tom & Jerry's</b>`;
  expect(String(markup`<p title="${name}">${name}</p>`)).toBe(
    '<p title="&lt;b title=&quot;x&quot;&gt;Tom &amp; Jerry&#39;s&lt;/b&gt;">&lt;b title=&quot;x&quot;&gt;Tom &amp; Jerry&#39;s&lt;/b&gt;</p>',
  );
});

it('leaves markup as it is, at any depth', () => {
  const cells = ['a', '<b>'].map((each) => markup`<td>${each}</td>`);
  const row = markup`<tr>${cells}</tr>`;
  expect(String(markup`<table>${row}${[row, ['&', 3]]}</table>`)).toBe(
    '<table><tr><td>a</td><td>&lt;b&gt;</td></tr><tr><td>a</td><td>&lt;b&gt;</td></tr>&amp;3</table>',
  );
  expect(String(markup`${trusted('<svg></svg>')}${0}`)).toBe('<svg></svg>0');
});

it('puts each of several contents on a line of its own', () => {
  expect(String(inLines([markup`<p>1</p>`, '<2>']))).toBe('<p>1</p>\n&lt;2&gt;');
  expect(String(inLines([]))).toBe('');
});

it('shows what nobody would see in text from outside, and keeps its lines', () => {
  expect(String(markup`<td>${'a\u202eb\n\x1b[31m'}</td>`)).toBe('<td>a\\u202eb\n\\x1b[31m</td>');
});
