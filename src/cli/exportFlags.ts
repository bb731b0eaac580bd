import {
  type CalibrationMethod,
  calibrationMethods,
  type ExportOptions,
  machineSettings,
  type Precision,
  precisions,
  settleFlags,
  UserError,
} from '../internal.js';
import { number, wholeNumber } from './sharedFlags.js';

export interface Arguments {
  run: string;
  format: 'onnx' | 'ort' | 'transformers-js' | 'web';
  delta: boolean;
  precision: Precision;
  opset: number | undefined;
  preprocessing: 'apart' | 'baked' | undefined;
  softmax: boolean;
  sigmoid: boolean;
  batch: string;
  'calibration-data': string | undefined;
  calibration: CalibrationMethod;
  'calibration-photos': number;
  'keep-float': string | undefined;
  'reduce-range': boolean | undefined;
  data: string | undefined;
  verify: number;
  'min-agreement': number | undefined;
  threads: number;
  model: string | undefined;
  out: string;
  json: boolean;
  events: boolean;
  quiet: boolean;
}

const DYNAMIC = 'dynamic';
/** Images at once that any memory holds. */
const LARGEST_BATCH = 4096;

/** Flags that say how the exported model is. */
export const MODEL_FLAGS = {
  format: {
    choices: ['onnx', 'ort', 'web', 'transformers-js'] as const,
    default: 'onnx' as const,
    describe:
      "what is written: an ONNX model, one in ONNX Runtime's own format, or a folder: a page that runs it, or what transformers.js loads",
  },
  precision: {
    choices: precisions,
    default: 'fp32' as const,
    describe: 'numbers of weights and activations; int8 is calibrated on training photos of the run',
  },
  opset: {
    type: 'number',
    requiresArg: true,
    describe: 'operator set (default: of the pretrained model)',
  },
  preprocessing: {
    choices: ['apart', 'baked'] as const,
    describe:
      'baked: the model takes uint8 photos [N, H, W, 3] of any size, and resizes, crops and normalizes them (default: apart; baked for transformers-js)',
  },
  softmax: { type: 'boolean', default: false, describe: 'give probabilities in place of logits' },
  sigmoid: {
    type: 'boolean',
    default: false,
    describe: 'of labels: give the probability of each in place of logits',
  },
  batch: {
    type: 'string',
    default: DYNAMIC,
    requiresArg: true,
    describe: 'images that the model takes at once, or dynamic',
  },
  calibration: {
    choices: calibrationMethods,
    default: 'percentile' as const,
    describe: 'int8: how the ranges of activations are found',
  },
  'calibration-data': {
    type: 'string',
    requiresArg: true,
    describe: 'int8: photos for it, a folder (default: training photos of the run)',
  },
  'calibration-photos': { type: 'number', default: 512, requiresArg: true, describe: 'int8: how many' },
  'keep-float': {
    type: 'string',
    requiresArg: true,
    describe: 'int8: layers that are computed in float: first, last, or first,last',
  },
  'reduce-range': {
    type: 'boolean',
    describe: 'int8: weights of 7 bits, for x86 processors without VNNI (default: as this machine needs)',
  },
} as const;

/** Flags that say how it is compared with the trained one. */
export const COMPARISON_FLAGS = {
  data: {
    type: 'string',
    requiresArg: true,
    describe: 'the photos of the run (default: where the run found them)',
  },
  verify: {
    type: 'number',
    default: 256,
    requiresArg: true,
    describe: 'photos that the model is compared on with the one that was trained, at most',
  },
  'min-agreement': {
    type: 'number',
    requiresArg: true,
    describe: 'percent of them that both must give the same class; else nothing is written',
  },
  threads: { type: 'number', default: 0, requiresArg: true, describe: 'of ONNX Runtime; 0: all cores' },
} as const;

/** Flags that say of what, where and how it is written. */
export const PLACE_FLAGS = {
  delta: {
    type: 'boolean',
    default: false,
    describe: 'only what changed, for ort-tl apply to patch the pretrained model with',
  },
  model: {
    type: 'string',
    requiresArg: true,
    describe: 'the pretrained model that the run began with (default: where the run found it)',
  },
  out: {
    type: 'string',
    demandOption: true,
    requiresArg: true,
    describe: 'the file to write, or the folder',
  },
} as const;

/** What the flags say of the exported model. @throws UserError `bad-arguments`. */
export function inferenceOptions(args: Arguments): ExportOptions {
  const optional: { -readonly [Key in keyof ExportOptions]?: ExportOptions[Key] } = {};
  if (args.opset !== undefined) optional.opset = wholeNumber('opset', args.opset, 9, 99);
  if (args.batch !== DYNAMIC) optional.batch = batchOf(args.batch);
  if (args.format === 'transformers-js') {
    optional.forTransformersJs = true;
    if (bakes(args)) optional.batch = onePhoto(args);
    if (args.softmax || args.sigmoid)
      throw new UserError(
        'bad-arguments',
        `transformers.js makes probabilities of logits by itself; leave out --${args.softmax ? 'softmax' : 'sigmoid'}`,
      );
  }
  if (args['keep-float'] !== undefined) optional.keepFloat = keptLayers(args['keep-float']);
  if (args['reduce-range'] !== undefined) optional.reducesRange = args['reduce-range'];
  return {
    ...optional,
    precision: args.precision,
    format: args.format === 'ort' ? 'ort' : 'onnx',
    bakesPreprocessing: bakes(args),
    softmax: args.softmax,
    sigmoid: args.sigmoid,
    calibration: {
      method: args.calibration,
      photos: wholeNumber('calibration-photos', args['calibration-photos'], 1),
    },
    verify: wholeNumber('verify', args.verify, 1),
    threads: settleFlags({ threads: machineSettings.threads }, { ...args }).threads,
  };
}

/** Whether the model is to prepare photos by itself. */
export function bakes({ format, preprocessing }: Pick<Arguments, 'format' | 'preprocessing'>): boolean {
  return (preprocessing ?? (format === 'transformers-js' ? 'baked' : 'apart')) === 'baked';
}

/** transformers.js puts photos of several sizes one behind another as if they had one size: a model that takes one refuses that. */
function onePhoto({ batch }: Arguments): number {
  if (batch === DYNAMIC || batch === '1') return 1;
  throw new UserError(
    'bad-arguments',
    'a model that resizes photos by itself takes one at a time in transformers.js; leave out --batch, or have the library resize them (--preprocessing apart)',
  );
}

function batchOf(value: string): number {
  const batch = Number(value);
  if (Number.isSafeInteger(batch) && batch >= 1 && batch <= LARGEST_BATCH) return batch;
  throw new UserError(
    'bad-arguments',
    `expected ${DYNAMIC} or a whole number from 1 to ${LARGEST_BATCH}, got \`${value}\` (--batch)`,
  );
}

function keptLayers(value: string): ('first' | 'last')[] {
  return value.split(',').map((word) => {
    if (word === 'first' || word === 'last') return word;
    throw new UserError('bad-arguments', `expected first, last or first,last, got \`${value}\` (--keep-float)`);
  });
}

/** The share of photos, 0 to 1, on which both models must agree; undefined where none was asked for. @throws UserError `bad-arguments`. */
export function leastAgreement({ 'min-agreement': percent }: Arguments): number | undefined {
  if (percent === undefined) return undefined;
  return number('min-agreement', percent, 'percent from 0 to 100', (each) => each >= 0 && each <= 100) / 100;
}
