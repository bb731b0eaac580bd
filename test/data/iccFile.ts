/** Colour spaces by their definitions, and ICC profiles of them by the fields of ICC.1:2001-04 (version 2.4). */

type Triple = [number, number, number];
type Matrix = [Triple, Triple, Triple];

/** A colour of the stored picture, each channel from 0 to 1, as sRGB from 0 to 1. */
type ToSrgb = (colour: readonly number[]) => Triple;

export interface TestProfile {
  readonly space: 'RGB ' | 'GRAY' | 'CMYK';
  readonly bytes: Buffer;
  readonly toSrgb: ToSrgb;
}

interface Curve {
  readonly tag: Buffer;
  readonly light: (sample: number) => number;
}

const D50: Triple = [0.9642, 1, 0.8249];
const D65 = [0.3127, 0.329] as const;
const SRGB_PRIMARIES = [
  [0.64, 0.33],
  [0.3, 0.6],
  [0.15, 0.06],
] as const;
const BRADFORD: Matrix = [
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
];

function apply(m: Matrix, v: Triple): Triple {
  const row = (r: Triple) => r[0] * v[0] + r[1] * v[1] + r[2] * v[2];
  return [row(m[0]), row(m[1]), row(m[2])];
}

function transpose([a, b, c]: Matrix): Matrix {
  return [
    [a[0], b[0], c[0]],
    [a[1], b[1], c[1]],
    [a[2], b[2], c[2]],
  ];
}

function multiply(a: Matrix, b: Matrix): Matrix {
  const [x, y, z] = transpose(b);
  return transpose([apply(a, x), apply(a, y), apply(a, z)]);
}

function inverse([[a, b, c], [d, e, f], [g, h, i]]: Matrix): Matrix {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const over = (value: number) => value / determinant;
  return [
    [over(e * i - f * h), over(c * h - b * i), over(b * f - c * e)],
    [over(f * g - d * i), over(a * i - c * g), over(c * d - a * f)],
    [over(d * h - e * g), over(b * g - a * h), over(a * e - b * d)],
  ];
}

const diagonal = ([a, b, c]: Triple): Matrix => [
  [a, 0, 0],
  [0, b, 0],
  [0, 0, c],
];
const xyzOf = ([x, y]: readonly [number, number]): Triple => [x / y, 1, (1 - x - y) / y];

/** XYZ under D50 of linear light in a space of these primaries and this white. */
function colorants(
  primaries: typeof SRGB_PRIMARIES | readonly (readonly [number, number])[],
  white: readonly [number, number],
): Matrix {
  const [r = D65, g = D65, b = D65] = primaries;
  const xyz = transpose([xyzOf(r), xyzOf(g), xyzOf(b)]);
  const scaled = multiply(xyz, diagonal(apply(inverse(xyz), xyzOf(white))));
  const [from, to] = [apply(BRADFORD, xyzOf(white)), apply(BRADFORD, D50)];
  const scale: Triple = [to[0] / from[0], to[1] / from[1], to[2] / from[2]];
  return multiply(multiply(multiply(inverse(BRADFORD), diagonal(scale)), BRADFORD), scaled);
}

const SRGB = colorants(SRGB_PRIMARIES, D65);

function encode(light: number): number {
  const clipped = Math.min(1, Math.max(0, light));
  return clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055;
}

function numbers(bytes: 2 | 4, ...values: number[]): Buffer {
  const buffer = Buffer.alloc(bytes * values.length);
  values.forEach((value, at) => buffer.writeUIntBE(value, bytes * at, bytes));
  return buffer;
}

function fixed(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => buffer.writeInt32BE(Math.round(65_536 * value), 4 * at));
  return buffer;
}

const typed = (type: string, ...parts: Buffer[]) => Buffer.concat([Buffer.from(type), Buffer.alloc(4), ...parts]);

/** 563/256 is Adobe RGB's. */
const gamma = (sixths: number): Curve => ({
  tag: typed('curv', numbers(4, 1), numbers(2, Math.round(256 * sixths))),
  light: (sample) => sample ** (Math.round(256 * sixths) / 256),
});

const SRGB_PARAMETERS = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045] as const;
const srgbCurve: Curve = {
  tag: typed('para', numbers(2, 3, 0), fixed(...SRGB_PARAMETERS)),
  light: (sample) => (sample >= 0.04045 ? ((sample + 0.055) / 1.055) ** 2.4 : sample / 12.92),
};

/** sRGB's, as a table. */
const tabledCurve: Curve = {
  tag: typed(
    'curv',
    numbers(4, 1024),
    numbers(2, ...Array.from({ length: 1024 }, (_, at) => Math.round(65_535 * srgbCurve.light(at / 1023)))),
  ),
  light: srgbCurve.light,
};

function profile(space: string, deviceClass: string, tags: readonly (readonly [string, Buffer])[]): Buffer {
  const header = Buffer.alloc(128);
  header.write('\x02\x40', 8, 'latin1');
  header.write(`${deviceClass}${space}XYZ `, 12);
  numbers(2, 2020, 1, 1, 0, 0, 0).copy(header, 24);
  header.write('acsp', 36);
  fixed(...D50).copy(header, 68);
  const table: Buffer[] = [];
  const bodies: Buffer[] = [];
  let at = 128 + 4 + 12 * tags.length;
  for (const [name, tag] of tags) {
    table.push(Buffer.from(name), numbers(4, at, tag.length));
    const padded = Buffer.concat([tag, Buffer.alloc(-tag.length & 3)]);
    bodies.push(padded);
    at += padded.length;
  }
  header.writeUInt32BE(at);
  return Buffer.concat([header, numbers(4, tags.length), ...table, ...bodies]);
}

const described = [
  ['desc', typed('desc', numbers(4, 5), Buffer.from('test\0'), Buffer.alloc(78))],
  ['cprt', typed('text', Buffer.from('none\0'))],
  ['wtpt', typed('XYZ ', fixed(...D50))],
] as const;

function rgbProfile(
  primaries: readonly (readonly [number, number])[],
  white: readonly [number, number],
  curve: Curve,
): TestProfile {
  const toD50 = colorants(primaries, white);
  const [r, g, b] = transpose(toD50);
  const bytes = profile('RGB ', 'mntr', [
    ...described,
    ['rXYZ', typed('XYZ ', fixed(...r))],
    ['gXYZ', typed('XYZ ', fixed(...g))],
    ['bXYZ', typed('XYZ ', fixed(...b))],
    ['rTRC', curve.tag],
    ['gTRC', curve.tag],
    ['bTRC', curve.tag],
  ]);
  const toLinearSrgb = multiply(inverse(SRGB), toD50);
  const toSrgb: ToSrgb = ([red = 0, green = 0, blue = 0]) => {
    const light = apply(toLinearSrgb, [curve.light(red), curve.light(green), curve.light(blue)]);
    return [encode(light[0]), encode(light[1]), encode(light[2])];
  };
  return { space: 'RGB ', bytes, toSrgb };
}

function greyProfile(curve: Curve): TestProfile {
  return {
    space: 'GRAY',
    bytes: profile('GRAY', 'mntr', [...described, ['kTRC', curve.tag]]),
    toSrgb: ([grey = 0]) => {
      const value = encode(curve.light(grey));
      return [value, value, value];
    },
  };
}

/**
 * Inks whose linear light of sRGB's primaries is 1 − 0.6 of their own ink − 0.4 of black: sums, which interpolation of any kind in a
 * table of two points an ink gives exactly. All of them together are black, so that there is no black point to compensate.
 */
function cmykProfile(): TestProfile {
  const light = ([c = 0, m = 0, y = 0, k = 0]: readonly number[]): Triple => [
    1 - 0.6 * c - 0.4 * k,
    1 - 0.6 * m - 0.4 * k,
    1 - 0.6 * y - 0.4 * k,
  ];
  // A lut16Type with two points along each ink: XYZ with 1 as 0x8000. The last ink varies fastest.
  const nodes = Array.from({ length: 16 }, (_, at) => [at >> 3, (at >> 2) & 1, (at >> 1) & 1, at & 1]);
  const grid = nodes.flatMap((inks) => apply(SRGB, light(inks)).map((value) => Math.round(0x8000 * value)));
  const lut = typed(
    'mft2',
    Buffer.from([4, 3, 2, 0]),
    fixed(1, 0, 0, 0, 1, 0, 0, 0, 1),
    numbers(2, 2, 2),
    numbers(2, ...Array<number[]>(4).fill([0, 65_535]).flat()),
    numbers(2, ...grid),
    numbers(2, ...Array<number[]>(3).fill([0, 65_535]).flat()),
  );
  return {
    space: 'CMYK',
    bytes: profile('CMYK', 'prtr', [...described, ['A2B0', lut]]),
    toSrgb: (inks) => {
      const [r, g, b] = light(inks);
      return [encode(r), encode(g), encode(b)];
    },
  };
}

export const PROFILES = {
  sRGB: rgbProfile(SRGB_PRIMARIES, D65, srgbCurve),
  'sRGB by a table': rgbProfile(SRGB_PRIMARIES, D65, tabledCurve),
  'Display P3': rgbProfile([[0.68, 0.32], [0.265, 0.69], SRGB_PRIMARIES[2]], D65, srgbCurve),
  'Adobe RGB': rgbProfile([SRGB_PRIMARIES[0], [0.21, 0.71], SRGB_PRIMARIES[2]], D65, gamma(563 / 256)),
  ProPhoto: rgbProfile(
    [
      [0.7347, 0.2653],
      [0.1596, 0.8404],
      [0.0366, 0.0001],
    ],
    [0.3457, 0.3585],
    gamma(1.8),
  ),
  'red and green swapped': rgbProfile([SRGB_PRIMARIES[1], SRGB_PRIMARIES[0], SRGB_PRIMARIES[2]], D65, srgbCurve),
  'linear light': rgbProfile(SRGB_PRIMARIES, D65, gamma(1)),
  'grey 1.8': greyProfile(gamma(1.8)),
  'grey linear': greyProfile(gamma(1)),
  inks: cmykProfile(),
} as const;
