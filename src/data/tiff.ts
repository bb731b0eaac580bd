import { NotRead, RAW } from './fileKind.js';

/** What the first directory of a TIFF says of its samples; the numbers are those of TIFF 6.0. */
interface Directory {
  readonly bitsPerSample: readonly number[];
  readonly photometric: number;
  readonly samplesPerPixel: number;
  /** What each band behind the colours is: 0 unspecified, 1 alpha that the colours are multiplied by, 2 alpha; undefined where nothing is said. */
  readonly extraSamples: readonly number[] | undefined;
  readonly sampleFormat: readonly number[];
  /** What is in the inks' place when it is 2: anything but cyan, magenta, yellow and black. */
  readonly inkSet: number;
  /** Whether each band lies by itself. */
  readonly isPlanar: boolean;
}

/** How the bands of a TIFF are to be taken. */
export interface TiffBands {
  /** Bands behind the colours. */
  readonly extras: number;
  /** Which of those is alpha. */
  readonly alpha: number | undefined;
}

const CUT = 'it is damaged or cut off: its directory lies beyond its end';
/** How many of a tag's values are looked at; more bands than that are refused. */
const MOST_VALUES = 64;
const MOST_ENTRIES = 4096;

const TAG = {
  newSubfileType: 254,
  bitsPerSample: 258,
  photometric: 262,
  samplesPerPixel: 277,
  planarConfiguration: 284,
  subIfds: 330,
  inkSet: 332,
  extraSamples: 338,
  sampleFormat: 339,
  dngVersion: 50706,
} as const;

const PHOTOMETRIC = { whiteIsZero: 0, blackIsZero: 1, rgb: 2, palette: 3, cmyk: 5, yCbCr: 6, lab: 8 } as const;
const COLOURS: Readonly<Record<number, number>> = {
  [PHOTOMETRIC.whiteIsZero]: 1,
  [PHOTOMETRIC.blackIsZero]: 1,
  [PHOTOMETRIC.rgb]: 3,
  [PHOTOMETRIC.palette]: 1,
  [PHOTOMETRIC.cmyk]: 4,
  [PHOTOMETRIC.yCbCr]: 3,
  [PHOTOMETRIC.lab]: 3,
};
/** Photometric interpretations of a colour filter array (TIFF/EP), and of what is made of one (DNG). */
const PHOTOMETRIC_RAW = [32803, 34892];

/** Field types that hold whole numbers: BYTE, SHORT, LONG, IFD, LONG8, IFD8; with their sizes. */
const SIZES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8 };

/**
 * How the bands of a TIFF are to be taken; undefined for any other file, or one whose directory cannot be followed.
 * @throws NotRead for samples whose colours are not known or would come out wrong.
 */
export function tiffBands(bytes: Buffer): TiffBands | undefined {
  const directory = firstDirectory(bytes);
  if (!directory) return undefined;
  const { photometric, samplesPerPixel, bitsPerSample, sampleFormat, extraSamples } = directory;
  const [bits = 1] = bitsPerSample;
  const remedy = 'convert it to 8 or 16 bits';
  if (sampleFormat.includes(3) || sampleFormat.includes(6))
    throw new NotRead(`it has floating-point values (${bits} bits), which say not what is white; ${remedy}`);
  if (sampleFormat.includes(2) || sampleFormat.includes(5)) throw new NotRead(`it has signed values; ${remedy}`);
  if (bitsPerSample.some((each) => each !== bits)) throw new NotRead(`its bands differ in bits; ${remedy}`);

  const colours = COLOURS[photometric];
  if (colours === undefined)
    throw new NotRead(`it has colours of a kind that is not read (photometric ${photometric}); convert it to RGB`);
  const extras = samplesPerPixel - colours;
  const bands = `it has ${samplesPerPixel} band${samplesPerPixel === 1 ? '' : 's'}`;
  if (extras < 0) throw new NotRead(`${bands}, where its colours need ${colours}`);
  if (samplesPerPixel > MOST_VALUES) throw new NotRead(`${bands}, more than a photo has; save three of them as RGB`);
  const isGrey = photometric === PHOTOMETRIC.whiteIsZero || photometric === PHOTOMETRIC.blackIsZero;
  const takesFewBits = (isGrey || photometric === PHOTOMETRIC.palette) && extras === 0;
  if (!(takesFewBits ? [1, 2, 4, 8, 16] : [8, 16]).includes(bits))
    throw new NotRead(`it has ${bits} bit${bits === 1 ? '' : 's'} a band; ${remedy}`);
  if (photometric === PHOTOMETRIC.lab && (bits !== 16 || extras > 0))
    throw new NotRead(`it is in CIE L*a*b*, with ${bands.slice(7)} of ${bits} bits; convert it to RGB`);
  if (photometric === PHOTOMETRIC.cmyk && directory.inkSet === 2)
    throw new NotRead('it has other inks than cyan, magenta, yellow and black; convert it to RGB');
  if (photometric === PHOTOMETRIC.palette && extras > 0)
    throw new NotRead(`${bands}, one of them with a palette; convert it to RGB`);

  // libvips 8.18 mixes up their rows.
  if (isGrey && extras > 0 && directory.isPlanar)
    throw new NotRead(`${bands}, grey and others, each by itself (planar); save them pixel by pixel`);

  const kinds = kindsOf(extraSamples, extras, photometric);
  if (isGrey && kinds.filter((kind) => kind === 'unspecified').length > 1)
    throw new NotRead(
      `${bands}, and says neither which are red, green and blue nor what those behind the first are; convert it to RGB`,
    );
  const alpha = kinds.indexOf('alpha');
  if (photometric === PHOTOMETRIC.cmyk && bits === 16 && alpha >= 0)
    throw new NotRead('it is in CMYK of 16 bits with transparency; convert it to RGB');
  return { extras, alpha: alpha < 0 ? undefined : alpha };
}

/** Takes extra bands as Pillow does: one more of which nothing is said is alpha, and so is what Corel Draw marks with 999. */
function kindsOf(
  said: readonly number[] | undefined,
  extras: number,
  photometric: number,
): ('alpha' | 'unspecified')[] {
  if (said === undefined && extras === 1 && photometric !== PHOTOMETRIC.cmyk) return ['alpha'];
  return Array.from({ length: extras }, (_, at) => ([1, 2, 999].includes(said?.[at] ?? 0) ? 'alpha' : 'unspecified'));
}

/** @throws NotRead for values beyond the end, and for raw photos. */
function firstDirectory(bytes: Buffer): Directory | undefined {
  const values = firstValues(bytes);
  if (!values) return undefined;
  const valueOf = (tag: number) => values.get(tag)?.[0];
  const photometric = valueOf(TAG.photometric);
  const isReduced = ((valueOf(TAG.newSubfileType) ?? 0) & 1) === 1;
  // Canon's CR2 says so; DNG has its version; Nikon's NEF, Sony's ARW and others begin with a preview, the photo being in a directory below.
  const isRaw =
    bytes.toString('latin1', 8, 10) === 'CR' ||
    values.has(TAG.dngVersion) ||
    (isReduced && values.has(TAG.subIfds)) ||
    PHOTOMETRIC_RAW.includes(photometric ?? 0);
  if (isRaw) throw new NotRead(RAW);
  if (photometric === undefined) return undefined;
  return {
    bitsPerSample: values.get(TAG.bitsPerSample) ?? [1],
    photometric,
    samplesPerPixel: valueOf(TAG.samplesPerPixel) ?? 1,
    extraSamples: values.get(TAG.extraSamples),
    sampleFormat: values.get(TAG.sampleFormat) ?? [1],
    inkSet: valueOf(TAG.inkSet) ?? 1,
    isPlanar: valueOf(TAG.planarConfiguration) === 2,
  };
}

/**
 * The values of those tags in `TAG` that the first directory has; no more than `MOST_ENTRIES` entries are read, and no more than
 * `MOST_VALUES` values of each. Undefined for what is no TIFF.
 */
function firstValues(bytes: Buffer): Map<number, number[]> | undefined {
  const order = bytes.toString('latin1', 0, 2);
  if (order !== 'II' && order !== 'MM') return undefined;
  /** NaN beyond the end. */
  const number = (at: number, size: number): number => {
    if (!(at >= 0 && at + size <= bytes.length)) return NaN;
    if (size === 1) return bytes.readUInt8(at);
    if (size < 8) return order === 'II' ? bytes.readUIntLE(at, size) : bytes.readUIntBE(at, size);
    return Number(order === 'II' ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  };
  const version = number(2, 2);
  if (version !== 42 && version !== 43) return undefined;
  const wide = version === 43 ? 8 : 4;
  const directory = number(wide, wide);
  const countSize = version === 43 ? 8 : 2;
  const entries = number(directory, countSize);
  if (Number.isNaN(entries)) throw new NotRead(CUT);

  const values = new Map<number, number[]>();
  for (let entry = 0; entry < Math.min(entries, MOST_ENTRIES); entry++) {
    const at = directory + countSize + entry * (4 + 2 * wide);
    const tag = number(at, 2);
    if (Number.isNaN(tag)) break;
    const size = SIZES[number(at + 2, 2)];
    const length = number(at + 4, wide);
    // libtiff takes the first of several entries with the same tag.
    if (size === undefined || values.has(tag) || !Object.values<number>(TAG).includes(tag)) continue;
    const field = at + 4 + wide;
    const from = size * length <= wide ? field : number(field, wide);
    const found = Array.from({ length: Math.min(length, MOST_VALUES) }, (_, index) =>
      number(from + index * size, size),
    );
    if (found.some(Number.isNaN)) throw new NotRead(CUT);
    values.set(tag, found);
  }
  return values;
}
