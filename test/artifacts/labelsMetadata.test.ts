import { expect, it } from 'vitest';
import { readLabels } from '../../src/artifacts/labelsMetadata.js';

it('reads the classes that a model names, whatever they are called', () => {
  const labels = ['cat', 'a,b', '\u001b[2J', '\u202eetis', '', 'x'.repeat(1000)];
  expect(readLabels(JSON.stringify(labels), 'm.onnx')).toEqual(labels);
  const many = Array.from({ length: 21_841 }, (_, index) => `class ${index}`);
  expect(readLabels(JSON.stringify(many), 'm.onnx')).toEqual(many);
});

it.each([
  ['are no JSON', '["cat"', 'they are no JSON'],
  ['are no list', '{"0":"cat"}', 'expected a list of names'],
  ['are none', '[]', 'expected a list of names'],
  ['are no names', '["cat",7]', 'expected names of up to 1000 characters, and number 2 is none'],
  ['are longer than names', JSON.stringify(['x'.repeat(1001)]), 'expected names of up to 1000 characters'],
  ['are two of one name', '["crane","cat","crane"]', 'two classes are called "crane"'],
  ['are longer than those of any model', JSON.stringify(['x'.repeat(1e7)]), 'they take 10000004 characters'],
  ['are nested deeply', '['.repeat(1e6) + ']'.repeat(1e6), 'expected names of up to 1000 characters'],
])('refuses labels that %s, and names the model', (_, text, reason) => {
  expect(() => readLabels(text, 'm.onnx')).toThrow(expect.objectContaining({ code: 'bad-labels' }));
  expect(() => readLabels(text, 'm.onnx')).toThrow(`the labels of m.onnx are wrong: ${reason}`);
});
