import { describe, expect, it } from 'vitest';
import { randomResizedCrop } from '../../../src/data/augment/randomResizedCrop.js';
import { Random } from '../../../src/random.js';

describe('randomResizedCrop', () => {
  it.each([
    [48, 48, 224],
    [61, 37, 224],
    [32, 40, 160],
  ])(
    'shows whole pixels of a photo of %d × %d, as torchvision cuts them, to half a pixel of %d',
    (width, height, side) => {
      for (let seed = 0; seed < 2000; seed++) {
        const crop = { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] } as const;
        const { scaled, left, top, window } = randomResizedCrop(
          { width, height },
          { width: side, height: side },
          { scale: [...crop.scale], ratio: [...crop.ratio] },
          new Random(seed),
        );
        const axes = [
          { whole: scaled.width / width, ends: [left, left + window.width] },
          { whole: scaled.height / height, ends: [top, top + window.height] },
        ];
        // Each photo is smaller than the window, so that half a pixel of it is less than a quarter of one of its own.
        for (const { whole, ends } of axes)
          for (const end of ends)
            expect(Math.abs(end - whole * Math.round(end / whole)), `seed ${seed}`).toBeLessThanOrEqual(0.5 + 1e-9);
      }
    },
  );
});
