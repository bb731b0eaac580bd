import { expect, it } from 'vitest';
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  normalizationFor,
  parsePreprocessing,
  PRESETS,
} from '../../src/artifacts/preprocessing.js';

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
  ['std.0', { ...good, std: [-1, 1, 1] }],
  // Numbers that float32 cannot hold, or that have none: JSON reads 1e999 as infinity.
  ['std.2', { ...good, std: [1, 1, 1e-40] }],
  ['mean.0', { ...good, mean: [1e39, 0, 0] }],
  ['mean.1', { ...good, mean: [0, JSON.parse('-1e999'), 0] }],
  ['mean.2', { ...good, mean: [0, 0, null] }],
  // Images that would fill the memory.
  ['width', { ...good, width: 1e6 }],
  ['height', { ...good, height: 1e300 }],
  ['width', { ...good, width: 8192, height: 8192 }],
  // What is nested deeply, or large, in a number's place.
  ['mean', { ...good, mean: Array.from({ length: 1e5 }, () => 0) }],
  ['resize', { ...good, resize: JSON.parse('['.repeat(1e5) + ']'.repeat(1e5)) as unknown }],
])('refuses a wrong %s and names it', (field, value) => {
  expect(() => parsePreprocessing(value)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
  expect(() => parsePreprocessing(value)).toThrow(`wrong at ${field}`);
});

it('names the model whose metadata is wrong, and does not read what is longer than any', () => {
  const long = JSON.stringify({ ...good, more: 'x'.repeat(1e5) });
  for (const wrong of ['[]', '{', long])
    expect(() => normalizationFor(undefined, wrong, 'some/model.onnx')).toThrow(
      /^the preprocessing of some\/model.onnx is wrong: /,
    );
});

it('refuses what is no object', () => {
  expect(() => parsePreprocessing(null)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
});

it('normalises as the preset says, else as the model says, else as torchvision', () => {
  const own = { ...good, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
  expect(normalizationFor('tf', JSON.stringify(own))).toEqual(PRESETS.tf);
  expect(normalizationFor(undefined, JSON.stringify(own))).toEqual({ mean: own.mean, std: own.std });
  expect(normalizationFor(undefined, undefined)).toEqual({ mean: IMAGENET_MEAN, std: IMAGENET_STD });
  for (const wrong of ['{', '{"mean":1}'])
    expect(() => normalizationFor(undefined, wrong)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
});

it.each([
  ['tf', -1, 1],
  ['unit', 0, 1],
  ['none', 0, 255],
] as const)('maps pixels by %s to %d … %d', (preset, black, white) => {
  const { mean, std } = PRESETS[preset];
  for (const channel of [0, 1, 2]) {
    expect((0 - (mean[channel] ?? NaN)) / (std[channel] ?? NaN)).toBeCloseTo(black, 10);
    expect((1 - (mean[channel] ?? NaN)) / (std[channel] ?? NaN)).toBeCloseTo(white, 10);
  }
});
