import { PRESETS, UserError } from '../index.js';

/** Options that several verbs share; each verb picks what it needs. */
export const shared = {
  model: { type: 'string', demandOption: true, describe: 'pretrained classifier, an ONNX file', requiresArg: true },
  tunedModel: { type: 'string', demandOption: true, describe: 'model.onnx of a run', requiresArg: true },
  photos: { type: 'string', array: true, describe: 'image files, folders or globs; - for standard input' },
  policy: {
    type: 'string',
    default: 'F1C1',
    describe: 'what to train: F1C0, F1C1, F2C3, FxC1, …, blocks:2, bias, layers:<names>, or full',
    requiresArg: true,
  },
  resize: {
    choices: ['crop', 'squash'],
    default: 'crop',
    describe: 'fit photos by cutting their edges, or by changing their aspect',
  },
  maxBad: {
    type: 'number',
    default: 0.05,
    requiresArg: true,
    describe: 'share of unreadable photos that stops the run',
  },
  batch: { type: 'number', default: 32, describe: 'images a step', requiresArg: true },
  seed: {
    type: 'number',
    default: 0,
    describe: 'of the new head, the order of photos and the split',
    requiresArg: true,
  },
  size: {
    type: 'number',
    describe: 'side of the images in pixels, where the model takes any (default 224)',
    requiresArg: true,
  },
  preprocessing: {
    choices: keysOf(PRESETS),
    describe: "how pixels are normalised (default: as the model's metadata says, else torchvision)",
  },
  'val-fraction': {
    type: 'number',
    default: 0.2,
    requiresArg: true,
    describe: 'share of each class that validates where no photos are named to validate or to test with',
  },
  cache: {
    type: 'string',
    describe: 'folder of the feature cache (default: ORT_TL_CACHE, or where the system keeps such things)',
    requiresArg: true,
  },
  'cache-dtype': {
    choices: ['float32', 'float16'] as const,
    default: 'float32' as const,
    describe: 'how what the frozen part gives is kept: float16 takes half the room, and rounds',
  },
  json: { type: 'boolean', default: false, describe: 'print the result as JSON' },
  quiet: { type: 'boolean', default: false, describe: 'print nothing but the result' },
} as const;

/** More threads than any machine of today has; ONNX Runtime would start as many as it is told. */
export const MOST_THREADS = 1024;

/** `value` when it is a whole number from `least` up, to `most`. @throws UserError `bad-arguments`. */
export function wholeNumber(flag: string, value: number, least: number, most = Infinity): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Infinity ? `${least} up` : `${least} to ${most}`;
  throw new UserError('bad-arguments', `expected a whole number from ${range}, got \`${value}\` (--${flag})`);
}

/** `value` when it is a number that `accepts` takes. @throws UserError `bad-arguments`. */
export function number(flag: string, value: number, expected: string, accepts: (value: number) => boolean): number {
  if (Number.isFinite(value) && accepts(value)) return value;
  throw new UserError('bad-arguments', `expected ${expected}, got \`${value}\` (--${flag})`);
}

/** `value` when it is a share from 0 to 1. @throws UserError `bad-arguments`. */
export function share(flag: string, value: number): number {
  return number(flag, value, 'a share from 0 to 1', (each) => each >= 0 && each <= 1);
}

/** The share of the photos that validates. @throws UserError `bad-arguments`. */
export function valFraction(value: number): number {
  return number('val-fraction', value, 'a share between 0 and 1', (each) => each > 0 && each < 1);
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of a duration such as `90s`, `10m`, `1.5h`; a bare number counts seconds. @throws UserError `bad-arguments`. */
export function duration(flag: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?$/.exec(value.trim());
  const milliseconds = match && Number(match[1]) * (UNITS[match[2] ?? 's'] ?? NaN);
  if (milliseconds !== null && milliseconds > 0) return milliseconds;
  throw new UserError('bad-arguments', `expected a duration such as 90s, 10m or 1.5h, got \`${value}\` (--${flag})`);
}

const SIZES: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bytes of a size such as `500MB` or `5GB`. @throws UserError `bad-arguments`. */
export function size(flag: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(value.trim());
  if (match) return Number(match[1]) * (SIZES[(match[2] ?? '').toLowerCase()] ?? NaN);
  throw new UserError('bad-arguments', `expected a size such as 500MB or 5GB, got \`${value}\` (--${flag})`);
}

/** Bytes of a size of memory; a bare number counts megabytes. @throws UserError `bad-arguments`. */
export function memorySize(flag: string, value: string): number {
  return size(flag, /^[\d.]+$/.test(value) ? `${value}MB` : value);
}

/** Joules of an energy such as `500J`, `2kJ` or `0.1Wh`; a bare number counts joules. @throws UserError `bad-arguments`. */
export function joules(flag: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(k?)(j|wh)?$/i.exec(value.trim());
  const [, amount, thousand, unit = 'j'] = match ?? [];
  const energy = Number(amount) * (thousand ? 1000 : 1) * (unit.toLowerCase() === 'wh' ? 3600 : 1);
  if (match && energy > 0) return energy;
  throw new UserError('bad-arguments', `expected an energy such as 500J, 2kJ or 0.1Wh, got \`${value}\` (--${flag})`);
}

/** The keys of a record, as their own type. */
export function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): Key[] {
  return Object.keys(record) as Key[];
}
