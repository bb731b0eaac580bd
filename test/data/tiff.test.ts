import { describe, expect, it } from 'vitest';
import { decodePixels } from '../../src/data/decode.js';
import { tiffBands } from '../../src/data/tiff.js';
import { type TiffPicture, tiffFile } from './tiffFile.js';

const RGB = [
  [200, 40, 40],
  [40, 180, 60],
  [10, 20, 250],
  [0, 255, 128],
] as const;
/** Two rows of two pixels: the colours, each followed by the further bands. */
const rgbWith = (...bands: readonly number[]): TiffPicture => ({
  width: 2,
  height: 2,
  photometric: 2,
  samplesPerPixel: 3 + bands.length,
  samples: RGB.flatMap((colour) => [...colour, ...bands]),
});
const greyWith = (...bands: readonly number[]): TiffPicture => ({
  width: 2,
  height: 2,
  samplesPerPixel: 1 + bands.length,
  samples: [88, 124, 0, 255].flatMap((grey) => [grey, ...bands]),
});
const cmyk: TiffPicture = {
  width: 2,
  height: 2,
  photometric: 5,
  samplesPerPixel: 4,
  samples: Array<number>(16).fill(90),
};

const decode = (picture: TiffPicture | Buffer) =>
  decodePixels(Buffer.isBuffer(picture) ? picture : tiffFile(picture), {
    width: 2,
    height: 2,
    resize: 'squash',
    mean: [0, 0, 0],
    std: [1, 1, 1],
  });
const onWhite = (value: number, alpha: number) => (value * alpha + 255 * (255 - alpha)) / 255;
const wide = (picture: TiffPicture): TiffPicture => ({
  ...picture,
  bits: 16,
  samples: picture.samples.map((sample) => 257 * sample),
});

function expectNear(pixels: Uint8Array, expected: readonly number[]): void {
  expect(pixels).toHaveLength(expected.length);
  const off = Math.max(...expected.map((value, at) => Math.abs(value - (pixels[at] ?? NaN))));
  expect(off, `${pixels.join()} for ${expected.join()}`).toBeLessThanOrEqual(2);
}

describe('the bands of a TIFF', () => {
  const layouts = [
    { littleEndian: true, isBig: false },
    { littleEndian: false, isBig: false },
    { littleEndian: true, isBig: true },
    { littleEndian: false, isBig: true },
  ].flatMap((layout) => [8, 16].flatMap((bits) => [false, true].map((isPlanar) => ({ ...layout, bits, isPlanar }))));

  it.each(layouts)(
    'are told apart ($bits bits, little endian $littleEndian, big $isBig, planar $isPlanar)',
    async (layout) => {
      const { bits, ...order } = layout;
      const of = (picture: TiffPicture, extraSamples?: readonly number[]): Buffer => {
        const scaled = bits === 16 ? wide(picture) : picture;
        return tiffFile({ ...scaled, ...order, ...(extraSamples ? { extraSamples } : {}) });
      };
      const rgb = RGB.flat();
      const blended = rgb.map((value) => onWhite(value, 120));
      // TIFF 6.0: 0 is unspecified, 2 alpha.
      expectNear(await decode(of(rgbWith())), rgb);
      expectNear(await decode(of(rgbWith(60), [0])), rgb);
      expectNear(await decode(of(rgbWith(0), [0])), rgb);
      expectNear(await decode(of(rgbWith(120), [2])), blended);
      expectNear(await decode(of(rgbWith(60, 0), [0, 0])), rgb);
      expectNear(await decode(of(rgbWith(60, 120), [0, 2])), blended);
      expectNear(await decode(of(rgbWith(120, 60), [2, 0])), blended);
      expectNear(await decode(of(rgbWith(1, 2, 3, 4, 5), [0, 0, 0, 0, 0])), rgb);
      // 1 is alpha that the colours are multiplied by.
      const opacity = 120 / 255;
      const associated = {
        ...rgbWith(120),
        samples: RGB.flatMap((each) => [...each.map((value) => Math.round(value * opacity)), 120]),
      };
      expectNear(await decode(of(associated, [1])), blended);
      // As Pillow and libtiff take it: one band more of which nothing is said is alpha; of two nothing is known.
      expectNear(await decode(of(rgbWith(120))), blended);
      expectNear(await decode(of(rgbWith(60, 0))), rgb);
      if (order.isPlanar) return;
      const grey = [88, 124, 0, 255].flatMap((value) => [value, value, value]);
      expectNear(await decode(of(greyWith(60), [0])), grey);
      expectNear(
        await decode(of(greyWith(120), [2])),
        grey.map((value) => onWhite(value, 120)),
      );
      expectNear(
        await decode(of({ ...greyWith(60), photometric: 0 }, [0])),
        grey.map((value) => 255 - value),
      );
    },
  );

  it('behind the inks of CMYK change no colour where they are unspecified', async () => {
    const plain = await decode(cmyk);
    for (const bits of [8, 16])
      for (const spots of [[60], [0, 255]]) {
        const samples = Array.from({ length: 4 }, () => [90, 90, 90, 90, ...spots]).flat();
        const picture = { ...cmyk, samplesPerPixel: 4 + spots.length, samples, extraSamples: spots.map(() => 0) };
        expectNear(await decode(bits === 16 ? wide(picture) : picture), [...plain]);
      }
  });

  it.each<[string, TiffPicture, RegExp]>([
    ['floating point', { ...greyWith(), bits: 32, sampleFormat: 3 }, /has floating-point values \(32 bits\)/],
    ['floating point in RGB', { ...rgbWith(), bits: 64, sampleFormat: 3 }, /has floating-point values \(64 bits\)/],
    ['32 bits', { ...rgbWith(), bits: 32 }, /has 32 bits a band/],
    ['signed values', { ...greyWith(), bits: 16, sampleFormat: 2 }, /has signed values/],
    ['4 bits of RGB', { ...rgbWith(), bits: 4, samples: Array<number>(12).fill(1) }, /has 4 bits a band/],
    ['three bands said to be grey', { ...greyWith(1, 2), extraSamples: [0, 0] }, /has 3 bands, and says neither/],
    ['grey apart from its alpha', { ...greyWith(120), extraSamples: [2], isPlanar: true }, /has 2 bands.*planar/],
    ['CIE L*a*b* of 8 bits', { ...rgbWith(), photometric: 8 }, /is in CIE L\*a\*b\*, with 3 bands of 8 bits/],
    ['other inks', { ...cmyk, tags: { 332: 2 } }, /has other inks/],
    [
      '16 bits of CMYK with alpha',
      { ...wide({ ...cmyk, samplesPerPixel: 5, samples: Array<number>(20).fill(90) }), extraSamples: [2] },
      /CMYK of 16 bits with transparency/,
    ],
    ['too few bands', { ...greyWith(), photometric: 2 }, /has 1 band, where its colours need 3/],
    ['hundreds of bands', rgbWith(...Array<number>(200).fill(7)), /has 203 bands/],
    ['a mask', { ...greyWith(), photometric: 4 }, /colours of a kind that is not read \(photometric 4\)/],
  ])('are refused for %s', async (_, picture, reason) => {
    await expect(decode(picture)).rejects.toMatchObject({
      code: 'unreadable-photo',
      message: expect.stringMatching(reason) as string,
    });
  });

  it.each([
    [1, 0, [255, 0]],
    [1, 1, [0, 255]],
    [2, 1, [85, 170]],
    [4, 1, [17, 34]],
  ])('of grey with %d bits, photometric %d, are spread to 8', async (bits, photometric, [first = 0, second = 0]) => {
    const samples = bits === 1 ? [0, 1, 1, 0] : [1, 2, 2, 1];
    const grey = { ...greyWith(), bits, photometric, samples };
    expectNear(
      await decode(grey),
      [first, second, second, first].flatMap((value) => [value, value, value]),
    );
  });
});

describe('the directory of a hostile TIFF', () => {
  /** A little-endian TIFF of one directory with the entries: tag, type, count, value. */
  const directory = (count: number, ...entries: readonly number[][]): Buffer => {
    const bytes = Buffer.alloc(8 + 2 + 12 * entries.length + 4);
    bytes.write('II*\0\x08\0\0\0', 'latin1');
    bytes.writeUInt16LE(count, 8);
    entries.forEach(([tag = 0, type = 0, length = 0, value = 0], at) => {
      bytes.writeUInt16LE(tag, 10 + 12 * at);
      bytes.writeUInt16LE(type, 12 + 12 * at);
      bytes.writeUInt32LE(length, 14 + 12 * at);
      bytes.writeUInt32LE(value, 18 + 12 * at);
    });
    return bytes;
  };
  const grey = [262, 3, 1, 1];

  it.each<[string, Buffer]>([
    ['lies beyond the end', Buffer.from('II*\0\xff\xff\xff\x7f', 'latin1')],
    ['lies at the end of 64 bits', Buffer.concat([Buffer.from('II+\0\x08\0\0\0', 'latin1'), Buffer.alloc(8, 255)])],
    ['has no place', Buffer.from('MM\0*\0', 'latin1')],
  ])('is refused where it %s', (_, bytes) => {
    expect(() => tiffBands(bytes)).toThrow('it is damaged or cut off: its directory lies beyond its end');
  });

  it.each<[string, Buffer]>([
    ['claims more entries than there are', directory(65_535, [258, 3, 1, 8])],
    ['leads to itself', directory(1, [330, 4, 1, 8])],
    ['has no entries', directory(0)],
  ])('is left to the decoder where it %s', (_, bytes) => {
    expect(tiffBands(bytes)).toBeUndefined();
  });

  it('costs nothing by values without end, and is refused for those beyond its own', () => {
    const bits = [258, 3, 1, 8];
    expect(tiffBands(directory(2, bits, grey))).toEqual({ extras: 0, alpha: undefined });
    // Four billion values from the file's first byte on, of which 64 lie within it.
    const long = Buffer.concat([directory(3, bits, grey, [338, 3, 0xffff_ffff, 0]), Buffer.alloc(200)]);
    expect(tiffBands(long)).toEqual({ extras: 0, alpha: undefined });
    expect(() => tiffBands(directory(3, bits, grey, [338, 3, 3, 0xffff_fff0]))).toThrow(/beyond its end/);
  });
});
