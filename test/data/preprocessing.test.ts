import { expect, it } from 'vitest';
import { IMAGENET_MEAN, IMAGENET_STD, parsePreprocessing } from '../../src/data/preprocessing.js';

const good = { width: 224, height: 192, resize: 'crop', mean: IMAGENET_MEAN, std: IMAGENET_STD };

it('reads what a model says of its preprocessing', () => {
  expect(parsePreprocessing(JSON.parse(JSON.stringify(good)))).toEqual(good);
});

it.each([
  ['width', { ...good, width: 0 }],
  ['height', { ...good, height: 1.5 }],
  ['resize', { ...good, resize: 'stretch' }],
  ['mean', { ...good, mean: [0.5, 0.5] }],
  ['std.1', { ...good, std: [1, 0, 1] }],
])('refuses a wrong %s and names it', (field, value) => {
  expect(() => parsePreprocessing(value)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
  expect(() => parsePreprocessing(value)).toThrow(`wrong at ${field}`);
});

it('refuses what is no object', () => {
  expect(() => parsePreprocessing(null)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
});
