import sharp, { type Sharp } from 'sharp';
import { Random } from '../../src/random.js';
import { PROFILES, type TestProfile } from './iccFile.js';
import { pngFile } from './pngFile.js';
import { tiffFile } from './tiffFile.js';

/** A picture file whose pixels are known. */
export interface SeededPicture {
  /** What it is, for messages. */
  readonly name: string;
  readonly extension: string;
  readonly file: Buffer;
  /** Of the upright picture. */
  readonly width: number;
  readonly height: number;
  /** sRGB from 0 to 255, upright, on white, row by row. */
  readonly truth: readonly number[];
}

const WIDTH = 16;
const HEIGHT = 12;
const WHITE = 255;

type Alpha = 'none' | 'straight' | 'associated' | 'unspecified';
const FORMATS = [
  'png',
  'tiff',
  'tiff-lzw',
  'tiff-packbits',
  'tiff-deflate',
  'jpeg',
  'webp',
  'avif',
  'avif-10',
  'avif-12',
  'gif',
] as const;
type Format = (typeof FORMATS)[number];

/** What each format can hold. */
const CAN: Record<
  Format,
  { depths: [8 | 16, ...(8 | 16)[]]; spaces: [string, ...string[]]; alphas: [Alpha, ...Alpha[]] }
> = {
  png: { depths: [8, 16], spaces: ['rgb', 'grey', 'palette'], alphas: ['none', 'straight'] },
  tiff: {
    depths: [8, 16],
    spaces: ['rgb', 'grey', 'palette', 'cmyk'],
    alphas: ['none', 'straight', 'associated', 'unspecified'],
  },
  'tiff-lzw': { depths: [8, 16], spaces: ['rgb', 'grey'], alphas: ['none', 'straight'] },
  'tiff-packbits': { depths: [8, 16], spaces: ['rgb', 'grey'], alphas: ['none', 'straight'] },
  'tiff-deflate': { depths: [8, 16], spaces: ['rgb', 'grey'], alphas: ['none', 'straight'] },
  jpeg: { depths: [8], spaces: ['rgb', 'grey', 'cmyk'], alphas: ['none'] },
  webp: { depths: [8], spaces: ['rgb'], alphas: ['none', 'straight'] },
  avif: { depths: [8], spaces: ['rgb'], alphas: ['none', 'straight'] },
  'avif-10': { depths: [16], spaces: ['rgb'], alphas: ['none', 'straight'] },
  'avif-12': { depths: [16], spaces: ['rgb'], alphas: ['none', 'straight'] },
  gif: { depths: [8], spaces: ['rgb'], alphas: ['none'] },
};
const CHANNELS: Readonly<Record<string, number>> = { rgb: 3, grey: 1, palette: 1, cmyk: 4 };

/** A picture of 16 × 12 pixels before it is turned upright; the same for the same seed. */
export async function seededPicture(seed: number): Promise<SeededPicture> {
  const random = new Random(seed);
  const format = FORMATS[seed % FORMATS.length] ?? 'png';
  const can = CAN[format];
  const space = random.pick(can.spaces);
  const depth = space === 'palette' ? 8 : random.pick(can.depths);
  const alpha =
    space === 'palette'
      ? 'none'
      : random.pick(
          can.alphas.filter((each) => space !== 'cmyk' || each === 'none' || each === 'unspecified') as [Alpha],
        );
  const [name, profile] = profileFor(format, space, depth, random);
  const orientation = format === 'gif' ? 1 : 1 + random.integer(8);
  const isLossy = ['jpeg', 'avif', 'avif-10', 'avif-12', 'gif'].includes(format);

  const top = depth === 16 ? 65_535 : 255;
  const colours = CHANNELS[space] ?? 1;
  const channels = colours + (alpha === 'none' ? 0 : 1);
  const smooth = isLossy || random.next() < 0.5;
  const planes = Array.from({ length: channels }, () => plane(random, smooth, top));
  // Where inks are dark, the table that LittleCMS makes of a profile is coarse.
  if (space === 'cmyk')
    for (const ink of planes.slice(0, 4)) ink.forEach((value, at) => (ink[at] = Math.round(0.6 * value)));
  if (alpha === 'associated') {
    const opacity = planes[channels - 1] ?? [];
    // Of colours times nearly nothing, 8 bits keep nearly nothing.
    opacity.forEach((value, at) => (opacity[at] = Math.round(top / 4 + 0.75 * value)));
    for (let band = 0; band < colours; band++)
      planes[band] = (planes[band] ?? []).map((value, at) => Math.round((value * (opacity[at] ?? 0)) / top));
  }
  const written = Array.from(
    { length: WIDTH * HEIGHT * channels },
    (_, at) => planes[at % channels]?.[Math.floor(at / channels)] ?? 0,
  );
  const palette = Array.from({ length: 768 }, () => random.integer(256));

  const icc = profile?.bytes;
  const optional = { ...(icc ? { icc } : {}), orientation };
  const size = { width: WIDTH, height: HEIGHT };
  let file: Buffer;
  let stored = inPixels(written, channels);
  if (format === 'png') {
    const kind =
      space === 'palette'
        ? 'palette'
        : (`${space === 'grey' ? 'grey' : 'rgb'}${alpha === 'none' ? '' : ' and alpha'}` as const);
    file = pngFile({
      ...size,
      samples: written,
      kind,
      bits: depth,
      ...(space === 'palette' ? { colours: palette } : {}),
      ...optional,
    });
  } else {
    const photometric = { grey: 1, rgb: 2, palette: 3, cmyk: 5 }[space] ?? 1;
    const extra = { none: [], straight: [2], associated: [1], unspecified: [0] }[alpha];
    // TIFF keeps all reds first.
    const reds = [0, 1, 2]
      .flatMap((channel) => palette.filter((_, at) => at % 3 === channel))
      .map((value) => 257 * value);
    const tiff = tiffFile({
      ...size,
      samples: written,
      samplesPerPixel: channels,
      bits: depth,
      photometric,
      ...(extra.length > 0 ? { extraSamples: extra } : {}),
      ...(space === 'palette' ? { colours: reds } : {}),
      // Grey with other bands is refused where it is planar.
      isPlanar: colours > 1 && random.next() < 0.3,
      isDeflated: random.next() < 0.3,
      littleEndian: random.next() < 0.6,
      isBig: random.next() < 0.3,
      ...optional,
    });
    file = format === 'tiff' ? tiff : await encoded(tiff, format, space, depth);
    // AVIF's own turn (irot, imir) is part of decoding it.
    if (format.startsWith('avif')) stored = upright(stored, orientation);
    if (isLossy) stored = await storedIn(file, space, depth, stored);
  }

  const toSrgb = (colour: readonly number[]): readonly number[] => {
    if (space === 'palette') {
      const at = 3 * Math.round((colour[0] ?? 0) * 255);
      const shown = [0, 1, 2].map((channel) => (palette[at + channel] ?? 0) / 255);
      return profile?.space === 'RGB ' ? profile.toSrgb(shown) : shown;
    }
    if (profile) return profile.toSrgb(colour);
    return colours === 1 ? [colour[0] ?? 0, colour[0] ?? 0, colour[0] ?? 0] : colour;
  };
  const pixels = stored.map((pixel) => {
    const values = pixel.map((value) => value / top);
    const hasAlpha = alpha === 'straight' || alpha === 'associated';
    const opacity = hasAlpha ? (values[colours] ?? 1) : 1;
    const colour = values
      .slice(0, colours)
      .map((value) => (alpha === 'associated' && opacity > 0 ? Math.min(1, value / opacity) : value));
    return toSrgb(colour).map((value) => WHITE * (value * opacity + 1 - opacity));
  });
  return {
    name: `${seed}: ${format} of ${depth} bits, ${space}, profile ${name}, alpha ${alpha}, orientation ${orientation}`,
    extension: format.replace(/-.*/, ''),
    file,
    width: orientation > 4 ? HEIGHT : WIDTH,
    height: orientation > 4 ? WIDTH : HEIGHT,
    truth: (format.startsWith('avif') ? pixels : upright(pixels, orientation)).flat(),
  };
}

function profileFor(format: Format, space: string, depth: number, random: Random): readonly [string, TestProfile?] {
  if (format === 'gif') return ['none'];
  const wanted = { rgb: 'RGB ', palette: 'RGB ', grey: 'GRAY', cmyk: 'CMYK' }[space];
  // Of grey of 8 bits in linear light the dark values are too few for LittleCMS, and for Pillow with it.
  const fitting = Object.entries(PROFILES).filter(
    ([name, profile]) => profile.space === wanted && (name !== 'grey linear' || depth === 16),
  );
  // How CMYK looks without a profile, nothing says.
  if (space !== 'cmyk' && random.next() < 0.25) return ['none'];
  return fitting[random.integer(fitting.length)] ?? ['none'];
}

/** A plane of samples from 0 to `top`: noise, or a surface through four random corners. */
function plane(random: Random, smooth: boolean, top: number): number[] {
  const [a, b, c, d] = [random.next(), random.next(), random.next(), random.next()];
  return Array.from({ length: WIDTH * HEIGHT }, (_, at) => {
    if (!smooth) return random.integer(top + 1);
    const [x, y] = [(at % WIDTH) / (WIDTH - 1), Math.floor(at / WIDTH) / (HEIGHT - 1)];
    return Math.round(top * ((1 - y) * ((1 - x) * a + x * b) + y * ((1 - x) * c + x * d)));
  });
}

/** The colour space in which sharp leaves the samples as they are. */
function spaceOf(space: string, depth: number): string {
  if (space === 'cmyk') return 'cmyk';
  return space === 'grey' ? (depth === 16 ? 'grey16' : 'b-w') : depth === 16 ? 'rgb16' : 'srgb';
}

/** The samples of a TIFF as they are, with its profile and orientation, in another format. */
async function encoded(tiff: Buffer, format: Format, space: string, depth: number): Promise<Buffer> {
  const image = asStored(tiff, space, depth).keepMetadata();
  const [kind, detail] = format.split('-');
  switch (kind) {
    case 'tiff':
      return image.tiff({ compression: detail as 'lzw' | 'packbits' | 'deflate', predictor: 'none' }).toBuffer();
    case 'jpeg':
      return image.jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer();
    case 'webp':
      return image.webp({ lossless: true, exact: true }).toBuffer();
    case 'avif':
      return image
        .avif({ lossless: true, bitdepth: detail === '10' ? 10 : detail === '12' ? 12 : 8, effort: 2 })
        .toBuffer();
    default:
      return image.gif({ dither: 0 }).toBuffer();
  }
}

function asStored(file: Buffer, space: string, depth: number): Sharp {
  const image = sharp(file, { ignoreIcc: true }).toColourspace(spaceOf(space, depth));
  return space === 'cmyk' ? image.pipelineColourspace('cmyk') : image;
}

/** The pixels that a lossy file holds, which are to be near those that were written. */
async function storedIn(
  file: Buffer,
  space: string,
  depth: 8 | 16,
  written: readonly (readonly number[])[],
): Promise<number[][]> {
  const { data, info } = await asStored(file, space, depth)
    .raw({ depth: depth === 16 ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const samples = Array.from({ length: data.length / (depth / 8) }, (_, at) =>
    depth === 16 ? data.readUInt16LE(2 * at) : (data[at] ?? 0),
  );
  const stored = inPixels(samples, info.channels);
  const off = Math.max(
    ...written.flatMap((pixel, at) => pixel.map((value, band) => Math.abs(value - (stored[at]?.[band] ?? NaN)))),
  );
  if (!(off <= 0.05 * (depth === 16 ? 65_535 : 255)))
    throw new Error(`the encoder is off by ${off} (${space} ${depth})`);
  return stored;
}

function inPixels(samples: readonly number[], channels: number): number[][] {
  return Array.from({ length: samples.length / channels }, (_, at) =>
    samples.slice(at * channels, (at + 1) * channels),
  );
}

/** By the EXIF standard: where row 0 and column 0 of what is stored are seen. */
function upright<T>(pixels: readonly T[], orientation: number): T[] {
  const [width, height] = orientation > 4 ? [HEIGHT, WIDTH] : [WIDTH, HEIGHT];
  const seen: T[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [right, bottom] = [width - 1 - x, height - 1 - y];
      // The stored column and row of what is seen at x, y.
      const [column, row] = (
        [
          [x, y],
          [right, y],
          [right, bottom],
          [x, bottom],
          [y, x],
          [y, right],
          [bottom, right],
          [bottom, x],
        ] as const
      )[orientation - 1] ?? [x, y];
      const pixel = pixels[row * WIDTH + column];
      if (pixel !== undefined) seen.push(pixel);
    }
  }
  return seen;
}
