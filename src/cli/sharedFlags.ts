import { DEFAULT_MODEL, UserError } from '../internal.js';
import { parseDuration, parseJoules, parseSize } from '../quantities.js';

/** Options that several verbs share; each verb picks what it needs. */
export const shared = {
  model: {
    type: 'string',
    default: DEFAULT_MODEL,
    describe:
      "pretrained classifier: an ONNX file, a run's folder, a network's name (ort-tl models ls), hf:owner/repository",
    requiresArg: true,
  },
  tunedModel: {
    type: 'string',
    default: DEFAULT_MODEL,
    describe: "a run's folder, its model.onnx, or another model as ort-tl train takes it",
    requiresArg: true,
  },
  labels: {
    type: 'string',
    requiresArg: true,
    describe: 'file that names the classes, one a line, of a model that does not say them',
  },
  preprocessing: {
    type: 'string',
    requiresArg: true,
    describe: 'how pixels are normalised, as ort-tl train takes it (default: as the model says)',
  },
  photos: { type: 'string', array: true, describe: 'image files, folders or globs; - for standard input' },
  cache: {
    type: 'string',
    describe: 'folder of the feature cache (default: ORT_TL_CACHE, or where the system keeps such things)',
    requiresArg: true,
  },
  json: { type: 'boolean', default: false, describe: 'print the result as JSON' },
  events: {
    type: 'boolean',
    default: false,
    describe: 'print what happens, progress and the result, as lines of JSON',
  },
  quiet: { type: 'boolean', default: false, describe: 'print nothing but the result' },
} as const;

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

/** Milliseconds of a duration such as `90s`, `10m`, `1.5h`; a bare number counts seconds. @throws UserError `bad-arguments`. */
export const duration = (flag: string, value: string): number => read(flag, value, parseDuration);

/** Bytes of a size such as `500MB` or `5GB`. @throws UserError `bad-arguments`. */
export const size = (flag: string, value: string): number => read(flag, value, parseSize);

/** Joules of an energy such as `500J`, `2kJ` or `0.1Wh`; a bare number counts joules. @throws UserError `bad-arguments`. */
export const joules = (flag: string, value: string): number => read(flag, value, parseJoules);

function read(flag: string, value: string, parse: (text: string) => number): number {
  try {
    return parse(value);
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    throw new UserError(thrown.code, `${thrown.text} (--${flag})`, { cause: thrown });
  }
}
