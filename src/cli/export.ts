import { join } from 'node:path';
import {
  type CalibrationMethod,
  calibrationMethods,
  checkWebFolder,
  type Dataset,
  encodeDelta,
  type ExportedModel,
  exportModel,
  type ExportOptions,
  filesOf,
  findPhotos,
  type Learned,
  type ModelFile,
  type Parity,
  openDataset,
  type Precision,
  precisions,
  machineSettings,
  readLearned,
  readModel,
  resultOf,
  runFilesIn,
  settleFlags,
  UserError,
  webFolder,
  whileLocked,
  writeFileAtomically,
  writeFilesAtomically,
} from '../index.js';
import { checkApart, checkPlace } from '../files.js';
import { number, shared, wholeNumber } from './options.js';
import { showBytes, showPercent, Terminal } from './terminal.js';
import { warnOfPhotos } from './report.js';
import { beginningOfRun } from './runArguments.js';
import type { Verb } from './verb.js';

interface Arguments {
  run: string;
  format: 'onnx' | 'ort' | 'web';
  delta: boolean;
  precision: Precision;
  opset: number | undefined;
  preprocessing: 'apart' | 'baked';
  softmax: boolean;
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
  quiet: boolean;
}

/** Flags that have a meaning for a delta. */
const OF_DELTAS: ReadonlySet<string> = new Set(['debug', 'delta', 'json', 'model', 'out', 'quiet']);
const DYNAMIC = 'dynamic';
/** Images at once that any memory holds. */
const LARGEST_BATCH = 4096;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'folder that ort-tl train wrote' })
      .option('format', {
        choices: ['onnx', 'ort', 'web'] as const,
        default: 'onnx' as const,
        describe:
          "what is written: an ONNX model, one in ONNX Runtime's own format, or a folder with a page that runs it",
      })
      .option('precision', {
        choices: precisions,
        default: 'fp32' as const,
        describe: 'numbers of weights and activations; int8 is calibrated on training photos of the run',
      })
      .option('opset', {
        type: 'number',
        requiresArg: true,
        describe: 'operator set (default: of the pretrained model)',
      })
      .option('preprocessing', {
        choices: ['apart', 'baked'] as const,
        default: 'apart' as const,
        describe:
          'baked: the model takes uint8 photos [N, H, W, 3] of any size, and resizes, crops and normalizes them',
      })
      .option('softmax', { type: 'boolean', default: false, describe: 'give probabilities in place of logits' })
      .option('batch', {
        type: 'string',
        default: DYNAMIC,
        requiresArg: true,
        describe: 'images that the model takes at once, or dynamic',
      })
      .option('calibration', {
        choices: calibrationMethods,
        default: 'percentile' as const,
        describe: 'int8: how the ranges of activations are found',
      })
      .option('calibration-data', {
        type: 'string',
        requiresArg: true,
        describe: 'int8: photos for it, a folder (default: training photos of the run)',
      })
      .option('calibration-photos', { type: 'number', default: 512, requiresArg: true, describe: 'int8: how many' })
      .option('keep-float', {
        type: 'string',
        requiresArg: true,
        describe: 'int8: layers that are computed in float: first, last, or first,last',
      })
      .option('reduce-range', {
        type: 'boolean',
        describe: 'int8: weights of 7 bits, for x86 processors without VNNI (default: as this machine needs)',
      })
      .option('data', {
        type: 'string',
        requiresArg: true,
        describe: 'the photos of the run (default: where the run found them)',
      })
      .option('verify', {
        type: 'number',
        default: 256,
        requiresArg: true,
        describe: 'photos that the model is compared on with the one that was trained, at most',
      })
      .option('min-agreement', {
        type: 'number',
        requiresArg: true,
        describe: 'percent of them that both must give the same class; else nothing is written',
      })
      .option('threads', { type: 'number', default: 0, requiresArg: true, describe: 'of ONNX Runtime; 0: all cores' })
      .option('delta', {
        type: 'boolean',
        default: false,
        describe: 'only what changed, for ort-tl apply to patch the pretrained model with',
      })
      .option('model', {
        ...shared.model,
        demandOption: false,
        describe: 'the pretrained model that the run began with (default: where the run found it)',
      })
      .option('out', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'the file to write, or the folder',
      })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 export runs/first --out tuned.onnx', 'the best epoch as a model, float32')
      .example(
        '$0 export runs/first --precision int8 --min-agreement 98 --out small.onnx',
        'a quarter of the size, if it holds',
      )
      .example('$0 export runs/first --preprocessing baked --softmax --out photo.onnx', 'photos in, probabilities out')
      .example('$0 export runs/first --format web --precision int8 --out page', 'a page that classifies in the browser')
      .example('$0 export runs/first --delta --out tuned.delta', 'what to send to whoever has the pretrained model'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const least =
      args['min-agreement'] === undefined
        ? undefined
        : number('min-agreement', args['min-agreement'], 'percent from 0 to 100', (each) => each >= 0 && each <= 100) /
          100;
    const given = inferenceOptions(args);
    await checkPlace(args.out, args.format === 'web' ? 'folder' : 'file');
    if (args.format === 'web') checkWebFolder(args.out);
    const learned = readLearned(args.run);
    const settings = beginningOfRun(args.run);
    const path = args.model ?? settings.model;
    if (path === undefined)
      throw new UserError('bad-arguments', `${args.run} does not say which model it began with; name it (--model)`);
    const source = readModel(path);
    const inputs = [...filesOf(source), ...runFilesIn(args.run).map((name) => join(args.run, name))];
    await checkPlace(args.out, args.format === 'web' ? 'folder' : 'file', inputs);
    const data = args.data ?? settings.data;
    if (args.format === 'web' && data !== undefined) checkApart(args.out, data);
    if (args.delta) {
      refuseBesideDelta();
      await writeDelta(terminal, args, source, learned);
      return;
    }
    const exported = await report(terminal, source, learned, {
      ...given,
      ...(await photosOf(terminal, args, settings)),
    });
    const { parity } = exported;
    const told = { format: args.format, precision: args.precision, ...parity, calibration: exported.calibration };
    const refused = refusalOf(parity, least);
    if (refused !== undefined) {
      terminal.warn(`ort-tl: ${refused}; nothing is written`);
      terminal.json({ out: null, ...told });
      process.exitCode = 1;
      return;
    }
    if (args.format === 'web') {
      const { classes: labels, preprocessing } = learned.manifest;
      const files = await webFolder(args.out, exported, { ...given, labels, preprocessing });
      await whileLocked(args.out, 'exporting a page', () => writeFilesAtomically(files));
    } else await writeFileAtomically(args.out, exported.bytes);
    terminal.result(`${args.out}: ${comparisonOf(parity)}`);
    terminal.json({ out: args.out, base: learned.manifest.source, ...told });
  },
};

function inferenceOptions(args: Arguments): ExportOptions {
  const optional: { -readonly [Key in keyof ExportOptions]?: ExportOptions[Key] } = {};
  if (args.opset !== undefined) optional.opset = wholeNumber('opset', args.opset, 9, 99);
  if (args.batch !== DYNAMIC) optional.batch = batchOf(args.batch);
  if (args['keep-float'] !== undefined) optional.keepFloat = keptLayers(args['keep-float']);
  if (args['reduce-range'] !== undefined) optional.reducesRange = args['reduce-range'];
  return {
    ...optional,
    precision: args.precision,
    format: args.format === 'ort' ? 'ort' : 'onnx',
    bakesPreprocessing: args.preprocessing === 'baked',
    softmax: args.softmax,
    calibration: {
      method: args.calibration,
      photos: wholeNumber('calibration-photos', args['calibration-photos'], 1),
    },
    verify: wholeNumber('verify', args.verify, 1),
    threads: settleFlags({ threads: machineSettings.threads }, { ...args }).threads,
  };
}

function batchOf(value: string): number {
  const batch = Number(value);
  if (Number.isSafeInteger(batch) && batch >= 1 && batch <= LARGEST_BATCH) return batch;
  throw new UserError(
    'bad-arguments',
    `expected ${DYNAMIC} or a whole number from 1 to ${LARGEST_BATCH}, got \`${value}\` (--batch)`,
  );
}

/** @throws UserError `bad-arguments` for flags that say how a model is to be, beside one that asks for no model. */
function refuseBesideDelta(): void {
  const flags = process.argv.flatMap((word) => (word.startsWith('--') ? [word.slice(2).split('=')[0] ?? ''] : []));
  const alien = flags.find((flag) => !OF_DELTAS.has(flag));
  if (alien !== undefined)
    throw new UserError('bad-arguments', `a delta holds what was trained, as it was trained; leave out --${alien}`);
}

function keptLayers(value: string): ('first' | 'last')[] {
  return value.split(',').map((word) => {
    if (word === 'first' || word === 'last') return word;
    throw new UserError('bad-arguments', `expected first, last or first,last, got \`${value}\` (--keep-float)`);
  });
}

/** The run's photos, and those that are to calibrate; without the first, the second will have to do. */
async function photosOf(
  terminal: Terminal,
  args: Arguments,
  { data: where, open }: ReturnType<typeof beginningOfRun>,
): Promise<Pick<ExportOptions, 'calibrationData' | 'dataset' | 'seed'>> {
  const calibrationData = args['calibration-data'];
  const calibrate = calibrationData === undefined ? {} : { calibrationData };
  if (calibrationData !== undefined) {
    const { warnings } = await findPhotos(calibrationData);
    for (const line of warnings) terminal.warn(`warning: ${line}`);
  }
  const data = args.data ?? where;
  let dataset: Dataset;
  try {
    if (data === undefined) throw new UserError('no-photos', `${args.run} does not say which photos it trained with`);
    dataset = await openDataset(data, open);
    warnOfPhotos(terminal, dataset);
  } catch (thrown) {
    if (!(thrown instanceof UserError) || args.data !== undefined) throw thrown;
    if (calibrationData !== undefined) return calibrate;
    throw new UserError(
      thrown.code,
      `${thrown.text}; an exported model is compared with the trained one on photos: name those of the run (--data), or others (--calibration-data)`,
    );
  }
  return { ...calibrate, dataset, ...(open.seed === undefined ? {} : { seed: open.seed }) };
}

async function report(
  terminal: Terminal,
  source: ModelFile,
  learned: Learned,
  options: ExportOptions,
): Promise<ExportedModel> {
  return resultOf(exportModel(source, learned, options), ({ phase, done, total }) => {
    terminal.progress(phase, done, total);
  });
}

/** Why a model is not to be written, if it is not; `least` is the share of photos that was asked for. */
export function refusalOf(
  { photos, agreement, largestDifference, scale, tolerance, ok }: Parity,
  least?: number,
): string | undefined {
  const agrees = `the exported model agrees with the trained one on ${showPercent(agreement)} of ${photos} photos`;
  if (least !== undefined && agreement < least)
    return `${agrees}, and ${Number((100 * least).toPrecision(6))} % were asked for (--min-agreement)`;
  if (largestDifference === null)
    return 'the exported model gives no numbers (NaN, or infinite) where the trained one does; choose another --precision';
  if (tolerance !== null)
    return ok
      ? undefined
      : `the exported model is not the trained one: logits differ by up to ${largestDifference.toPrecision(2)}, where the largest is ${scale.toPrecision(2)} and ${(tolerance * scale).toPrecision(2)} is rounding; take the run's own model.onnx`;
  // Who states a share wants to see what is below it.
  return ok || least !== undefined
    ? undefined
    : `${agrees}, fewer than half; choose another --precision, or say which share will do (--min-agreement)`;
}

function comparisonOf({ photos, agreement, largestDifference, top1, bytes, latencyMs }: Parity): string {
  const accuracy = top1 ? `, top-1 ${showPercent(top1.exported)} (trained: ${showPercent(top1.trained)})` : '';
  return `${showBytes(bytes.exported)} (trained: ${showBytes(bytes.trained)}); agrees on ${showPercent(agreement)} of ${photos} photos, logits differ by ${(largestDifference ?? NaN).toPrecision(2)} at most${accuracy}; ${latencyMs.exported.toFixed(2)} ms a run (trained: ${latencyMs.trained.toFixed(2)} ms)`;
}

async function writeDelta(terminal: Terminal, args: Arguments, source: ModelFile, learned: Learned): Promise<void> {
  const parts = encodeDelta(source, learned);
  await writeFileAtomically(args.out, ...parts);
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  terminal.print(
    `${args.out}: ${showBytes(bytes)}; ort-tl apply makes the tuned model of it and of ${learned.manifest.source.file}`,
  );
  terminal.json({ out: args.out, bytes, delta: true, base: learned.manifest.source });
}
