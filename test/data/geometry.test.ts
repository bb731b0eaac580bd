import { expect, it } from 'vitest';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { pixelFingerprint } from '../../src/cache/fingerprint.js';
import { centredView } from '../../src/data/geometry.js';

const plain: Preprocessing = { width: 224, height: 224, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] };
const photo = { width: 500, height: 375 };
const window = { width: 224, height: 224 };

// By hand: 500 · 256 / 375 = 341.3; (341 − 224) / 2 = 58.5, to the even side; (256 − 224) / 2 = 16.
it('sees the middle 224 pixels of a photo that is scaled to 256 at its shorter side', () => {
  const scaled = { width: 341, height: 256 };
  expect(centredView(photo, { ...plain, cropShare: 0.875 })).toEqual({ scaled, left: 58, top: 16, window });
});

it('sees the middle 224 pixels of a photo that is squeezed to 256', () => {
  const view = centredView(photo, { ...plain, resize: 'squash', cropShare: 0.875 });
  expect(view).toEqual({ scaled: { width: 256, height: 256 }, left: 16, top: 16, window });
});

// timm: floor(240 / 0.9) = 266.
it('rounds the side that is fitted down, as timm does', () => {
  const view = centredView({ width: 1000, height: 1000 }, { ...plain, width: 240, height: 240, cropShare: 0.9 });
  expect(view.scaled).toEqual({ width: 266, height: 266 });
});

it('knows pixels of another share as others, and those of the whole as what they were', () => {
  const before = pixelFingerprint(plain, 'decoder');
  expect(pixelFingerprint({ ...plain, cropShare: 1 }, 'decoder')).toBe(before);
  expect(pixelFingerprint({ ...plain, cropShare: 0.875 }, 'decoder')).not.toBe(before);
});
