import { fromMarkdown } from 'mdast-util-from-markdown';
import { toString } from 'mdast-util-to-string';
import { expect, it } from 'vitest';
import { escaped } from '../../src/train/modelCard.js';
import { wilson95 } from '../../src/train/wilson.js';

it.each([
  ['[a](http://x)|b', '[a](http://x)|b'],
  [
    '<script>alert(1)</script> &amp; `code` **bold** ![x](y)',
    '<script>alert(1)</script> &amp; `code` **bold** ![x](y)',
  ],
  ['# head\nline\u202e\x1b[31m', '# head\\nline\\u202e\\x1b[31m'],
  ['plain name_1', 'plain name_1'],
])('shows a name from outside in the model card as it is, and nothing of it as markup: %j', (name, shown) => {
  const tree = fromMarkdown(`x ${escaped(name)}`);
  expect(tree.children.map(({ type }) => type)).toEqual(['paragraph']);
  const [paragraph] = tree.children;
  expect(paragraph?.type === 'paragraph' && paragraph.children.map(({ type }) => type)).toEqual(['text']);
  expect(toString(tree)).toBe(`x ${shown}`);
});

// Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20.
it.each([
  [81, 263, 0.2553, 0.3662],
  [15, 148, 0.0624, 0.1605],
  [0, 20, 0, 0.1611],
])('gives Wilson’s interval of %d of %d', (right, count, low, high) => {
  const interval = wilson95(right, count);
  expect(interval.low).toBeCloseTo(low, 4);
  expect(interval.high).toBeCloseTo(high, 4);
});
