import { UserError } from '../errors.js';

/** Options that several verbs share; each verb picks what it needs. */
export const shared = {
  model: { type: 'string', demandOption: true, describe: 'pretrained classifier, an ONNX file', requiresArg: true },
  policy: {
    type: 'string',
    default: 'F1C1',
    describe: 'what to train: F1C0, F1C1, F2C3, FxC1, … or full',
    requiresArg: true,
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
  json: { type: 'boolean', default: false, describe: 'print the result as JSON' },
  quiet: { type: 'boolean', default: false, describe: 'print nothing but errors' },
} as const;

/** `value` when it is a whole number from `least` up. @throws UserError `bad-arguments`. */
export function wholeNumber(flag: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new UserError('bad-arguments', `expected a whole number from ${least} up, got \`${value}\` (--${flag})`);
}

/** `value` when it is a number that `accepts` takes. @throws UserError `bad-arguments`. */
export function number(flag: string, value: number, expected: string, accepts: (value: number) => boolean): number {
  if (Number.isFinite(value) && accepts(value)) return value;
  throw new UserError('bad-arguments', `expected ${expected}, got \`${value}\` (--${flag})`);
}
