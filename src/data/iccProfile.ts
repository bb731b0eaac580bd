/** Leads from the samples of a profile's colour space to sRGB: a curve for each colour, then a matrix. */
export interface SrgbConversion {
  /** Linear light from 0 to 1 for each of the 65,536 values of a sample: red's, green's and blue's, or grey's alone. */
  readonly curves: readonly Float32Array[];
  /** Takes the linear light of the profile's colours to that of sRGB's, row by row; grey needs none. */
  readonly matrix: readonly number[];
}

const VALUES = 65_536;
const HEADER_BYTES = 128;
/** More tags or longer curves than these are left to LittleCMS. */
const MOST_TAGS = 256;
const MOST_CURVE_POINTS = 65_536;

/**
 * Linear sRGB from XYZ under D50, the light of profiles (IEC 61966-2-1, adapted by Bradford), row by row.
 * http://www.brucelindbloom.com/index.html?Eqn_RGB_XYZ_Matrix.html
 */
const SRGB_OF_XYZ = [
  3.1338561, -1.6168667, -0.4906146, -0.9787684, 1.9161415, 0.033454, 0.0719453, -0.2289914, 1.4052427,
];

/**
 * How samples of `space` become sRGB by an ICC profile that consists of tone curves, and for RGB of three colorants; undefined for a
 * profile of another kind, for another space, or damaged. For 8 bits LittleCMS computes the same; for 16 it interpolates in a
 * coarse table instead, which is off by up to 18 of 255 for profiles wider than sRGB.
 */
export function srgbConversion(profile: Buffer, space: 'RGB ' | 'GRAY'): SrgbConversion | undefined {
  if (profile.length < HEADER_BYTES + 4) return undefined;
  const text = (at: number) => profile.toString('latin1', at, at + 4);
  // The tags of a device link or a named colour mean something else.
  if (!['scnr', 'mntr', 'prtr', 'spac'].includes(text(12))) return undefined;
  if (text(16) !== space || text(20) !== 'XYZ ' || text(36) !== 'acsp') return undefined;
  const tags = new Map<string, Buffer>();
  const count = profile.readUInt32BE(HEADER_BYTES);
  if (count > MOST_TAGS || HEADER_BYTES + 4 + 12 * count > profile.length) return undefined;
  for (let tag = 0; tag < count; tag++) {
    const entry = HEADER_BYTES + 4 + 12 * tag;
    const from = profile.readUInt32BE(entry + 4);
    const length = profile.readUInt32BE(entry + 8);
    if (from + length > profile.length) return undefined;
    tags.set(text(entry), profile.subarray(from, from + length));
  }
  // Tables go before curves.
  if (tags.has('A2B0') || tags.has('D2B0')) return undefined;

  const names = space === 'RGB ' ? ['rTRC', 'gTRC', 'bTRC'] : ['kTRC'];
  const curves = names.flatMap((name) => curveOf(tags.get(name)) ?? []);
  if (curves.length !== names.length) return undefined;
  if (space === 'GRAY') return { curves, matrix: [] };
  const colorants = ['rXYZ', 'gXYZ', 'bXYZ'].map((name) => xyzOf(tags.get(name)));
  const matrix: number[] = [];
  for (let row = 0; row < 3; row++) {
    for (const colorant of colorants) {
      if (!colorant) return undefined;
      matrix.push(colorant.reduce((sum, value, at) => sum + (SRGB_OF_XYZ[3 * row + at] ?? 0) * value, 0));
    }
  }
  return { curves, matrix };
}

/** A number of 16 bits before the point and 16 behind it. */
function fixed(tag: Buffer, at: number): number {
  return tag.readInt32BE(at) / 65_536;
}

function xyzOf(tag: Buffer | undefined): number[] | undefined {
  if (!tag || tag.length < 20 || tag.toString('latin1', 0, 4) !== 'XYZ ') return undefined;
  return [fixed(tag, 8), fixed(tag, 12), fixed(tag, 16)];
}

/** The values of a `curv` or `para` tag (ICC.1:2022, 10.6 and 10.18). */
function curveOf(tag: Buffer | undefined): Float32Array | undefined {
  if (!tag || tag.length < 12) return undefined;
  const tabulate = (curve: (sample: number) => number) =>
    Float32Array.from({ length: VALUES }, (_, at) => Math.min(1, Math.max(0, curve(at / (VALUES - 1)))));
  const type = tag.toString('latin1', 0, 4);
  if (type === 'curv') {
    const points = tag.readUInt32BE(8);
    if (points > MOST_CURVE_POINTS || 12 + 2 * points > tag.length) return undefined;
    if (points === 0) return tabulate((sample) => sample);
    if (points === 1) return tabulate((sample) => sample ** (tag.readUInt16BE(12) / 256));
    return tabulate((sample) => {
      const place = sample * (points - 1);
      const before = Math.min(points - 2, Math.floor(place));
      const [low, high] = [tag.readUInt16BE(12 + 2 * before), tag.readUInt16BE(14 + 2 * before)];
      return (low + (place - before) * (high - low)) / 65_535;
    });
  }
  if (type !== 'para') return undefined;
  const kind = tag.readUInt16BE(8);
  const counts = [1, 3, 4, 5, 7];
  const parameters = counts[kind];
  if (parameters === undefined || tag.length < 12 + 4 * parameters) return undefined;
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from({ length: parameters }, (_, at) =>
    fixed(tag, 12 + 4 * at),
  );
  const power = (sample: number) => Math.max(0, a * sample + b) ** g;
  switch (kind) {
    case 0:
      return tabulate((sample) => sample ** g);
    case 1:
      return tabulate((sample) => (a * sample + b >= 0 ? power(sample) : 0));
    case 2:
      return tabulate((sample) => (a * sample + b >= 0 ? power(sample) + c : c));
    default:
      return tabulate((sample) => (sample >= d ? power(sample) + e : c * sample + f));
  }
}

/** sRGB of 8 bits for each of `VALUES` amounts of light from 0 to 1; made when it is first needed. */
let srgbValues: Uint8Array | undefined;

/**
 * `samples` of `channels` bands a pixel, the colours first, as uint8 RGB, or RGBA where `alpha` names a band.
 */
export function convertToSrgb(
  { curves, matrix }: SrgbConversion,
  samples: Uint16Array,
  channels: number,
  alpha?: number,
): Uint8Array {
  srgbValues ??= Uint8Array.from({ length: VALUES }, (_, at) => {
    const light = at / (VALUES - 1);
    return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055));
  });
  const values = srgbValues;
  const encode = (light: number) => values[Math.round((VALUES - 1) * Math.min(1, Math.max(0, light)))] ?? 0;
  const pixels = samples.length / channels;
  const width = alpha === undefined ? 3 : 4;
  const result = new Uint8Array(pixels * width);
  const [red = new Float32Array(0), green = red, blue = red] = curves;
  const [rr = 1, rg = 0, rb = 0, gr = 0, gg = 0, gb = 0, br = 0, bg = 0, bb = 0] = matrix;
  const isGrey = curves.length === 1;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const from = pixel * channels;
    const to = pixel * width;
    const r = red[samples[from] ?? 0] ?? 0;
    if (isGrey) {
      result.fill(encode(r), to, to + 3);
    } else {
      const g = green[samples[from + 1] ?? 0] ?? 0;
      const b = blue[samples[from + 2] ?? 0] ?? 0;
      result[to] = encode(rr * r + rg * g + rb * b);
      result[to + 1] = encode(gr * r + gg * g + gb * b);
      result[to + 2] = encode(br * r + bg * g + bb * b);
    }
    if (alpha !== undefined) result[to + 3] = toByte(samples[from + alpha] ?? 0);
  }
  return result;
}

/** A sample of 16 bits to the nearest of 8. */
export function toByte(sample: number): number {
  return (255 * sample + 32_895) >>> 16;
}
