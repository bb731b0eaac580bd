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
])('refuses a wrong %s and names it', (field, value) => {
  expect(() => parsePreprocessing(value)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
  expect(() => parsePreprocessing(value)).toThrow(`wrong at ${field}`);
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
