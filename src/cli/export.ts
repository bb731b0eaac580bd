import { join } from 'node:path';
import {
  cardForTransformersJs,
  checkExpressible,
  checkTransformersJsFolder,
  checkWebFolder,
  type Dataset,
  encodeDelta,
  encodeTuned,
  type ExportedModel,
  exportModel,
  type ExportOptions,
  filesOf,
  findPhotos,
  type Learned,
  type ModelFile,
  type Parity,
  openDataset,
  resultOf,
  readLearned,
  runFilesIn,
  thresholdsOfRun,
  UserError,
  transformersJsFolder,
  type TransformersJsOptions,
  webFolder,
  whileLocked,
  writeFileAtomically,
  writeFilesAtomically,
} from '../internal.js';
import { checkApart, checkPlace, sha256 } from '../files.js';
import {
  type Arguments,
  bakes,
  COMPARISON_FLAGS,
  inferenceOptions,
  leastAgreement,
  MODEL_FLAGS,
  PLACE_FLAGS,
} from './exportFlags.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { showBytes, showPercent, Terminal } from './terminal.js';
import { warnOfPhotos } from './report.js';
import { beginningOfRun } from './runArguments.js';
import type { Verb } from './verb.js';

/** Flags that have a meaning for a delta. */
const OF_DELTAS: ReadonlySet<string> = new Set(['debug', 'delta', 'events', 'json', 'model', 'out', 'quiet']);

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'folder that ort-tl train wrote' })
      .options(MODEL_FLAGS)
      .options(COMPARISON_FLAGS)
      .options(PLACE_FLAGS)
      .option('json', shared.json)
      .option('events', shared.events)
      .option('quiet', shared.quiet)
      .example('$0 export runs/first --out tuned.onnx', 'the best epoch as a model, float32')
      .example(
        '$0 export runs/first --precision int8 --min-agreement 98 --out small.onnx',
        'a quarter of the size, if it holds',
      )
      .example('$0 export runs/first --preprocessing baked --softmax --out photo.onnx', 'photos in, probabilities out')
      .example('$0 export runs/first --format web --precision int8 --out page', 'a page that classifies in the browser')
      .example('$0 export runs/first --format transformers-js --out folder', 'what transformers.js loads')
      .example('$0 export runs/first --delta --out tuned.delta', 'what to send to whoever has the pretrained model'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const least = leastAgreement(args);
    const given = inferenceOptions(args);
    const isFolder = args.format === 'web' || args.format === 'transformers-js';
    const place = isFolder ? 'folder' : 'file';
    await checkPlace(args.out, place);
    if (args.format === 'web') checkWebFolder(args.out);
    const learned = readLearned(args.run);
    const beginning = beginningOfRun(args.run);
    const { model: source } = await readSource(terminal, pretrainedModel(args, beginning));
    const inputs = [...filesOf(source), ...runFilesIn(args.run).map((name) => join(args.run, name))];
    await checkPlace(args.out, place, inputs);
    const data = args.data ?? beginning.data;
    if (args.format === 'transformers-js') {
      if (!bakes(args)) checkExpressible(learned.manifest.preprocessing);
      checkTransformersJsFolder(args.out, transformersJsOptions(args, learned, source));
    }
    if (isFolder && data !== undefined) checkApart(args.out, data);
    if (args.delta) {
      refuseBesideDelta();
      await writeDelta(terminal, args, source, learned);
      return;
    }
    const options = { ...given, ...(await photosOf(terminal, args, beginning)) };
    const exported = await report(terminal, source, learned, options);
    await writeUnlessRefused(terminal, args, learned, { exported, given, least, source });
  },
};

/** @throws UserError `bad-arguments` where nobody says which model the run began with. */
function pretrainedModel({ model, run }: Arguments, beginning: ReturnType<typeof beginningOfRun>): string {
  const path = model ?? beginning.model;
  if (path !== undefined) return path;
  throw new UserError('bad-arguments', `${run} does not say which model it began with; name it (--model)`);
}

function transformersJsOptions(args: Arguments, learned: Learned, source: ModelFile): TransformersJsOptions {
  const { task, classes: labels, preprocessing } = learned.manifest;
  return {
    ...{ labels, thresholds: thresholdsOfRun(learned) },
    ...{ preprocessing, precision: args.precision, bakesPreprocessing: bakes(args) },
    ...{ tunedSha256: sha256(encodeTuned(source, learned)), card: cardForTransformersJs(args.run, task) },
  };
}

interface Exported {
  readonly exported: ExportedModel;
  readonly given: ExportOptions;
  /** The share of photos on which both models must agree, if one was asked for. */
  readonly least: number | undefined;
  readonly source: ModelFile;
}

async function writeUnlessRefused(
  terminal: Terminal,
  args: Arguments,
  learned: Learned,
  { exported, given, least, source }: Exported,
): Promise<void> {
  const { parity } = exported;
  const { task, classes: labels, preprocessing } = learned.manifest;
  const told = { task, format: args.format, precision: args.precision, ...parity, calibration: exported.calibration };
  const refused = refusalOf(parity, least);
  if (refused !== undefined) {
    terminal.warn(`ort-tl: ${refused}; nothing is written`);
    terminal.json({ out: null, ...told });
    terminal.event({ type: 'done', out: null, ...told });
    process.exitCode = 1;
    return;
  }
  if (args.format === 'transformers-js') {
    const options = transformersJsOptions(args, learned, source);
    await whileLocked(args.out, 'exporting for transformers.js', () =>
      writeFilesAtomically(transformersJsFolder(args.out, exported, options)),
    );
  } else if (args.format === 'web') {
    const thresholds = thresholdsOfRun(learned);
    const files = await webFolder(args.out, exported, { ...given, labels, thresholds, preprocessing });
    await whileLocked(args.out, 'exporting a page', () => writeFilesAtomically(files));
  } else await writeFileAtomically(args.out, exported.bytes);
  terminal.result(`${args.out}: ${comparisonOf(parity)}`);
  const written = { out: args.out, base: learned.manifest.source, ...told };
  terminal.json(written);
  terminal.event({ type: 'done', ...written });
}

/** @throws UserError `bad-arguments` for flags that say how a model is to be, beside one that asks for no model. */
function refuseBesideDelta(): void {
  const flags = process.argv.flatMap((word) => (word.startsWith('--') ? [word.slice(2).split('=')[0] ?? ''] : []));
  const alien = flags.find((flag) => !OF_DELTAS.has(flag));
  if (alien !== undefined)
    throw new UserError('bad-arguments', `a delta holds what was trained, as it was trained; leave out --${alien}`);
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
    terminal.event({ type: 'progress', phase, done, total });
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

function comparisonOf({ photos, agreement, largestDifference, top1, map, bytes, latencyMs }: Parity): string {
  const worth = top1 ?? map;
  const accuracy = worth
    ? `, ${top1 ? 'top-1' : 'mAP'} ${showPercent(worth.exported)} (trained: ${showPercent(worth.trained)})`
    : '';
  return `${showBytes(bytes.exported)} (trained: ${showBytes(bytes.trained)}); agrees on ${showPercent(agreement)} of ${photos} photos, logits differ by ${(largestDifference ?? NaN).toPrecision(2)} at most${accuracy}; ${latencyMs.exported.toFixed(2)} ms a run (trained: ${latencyMs.trained.toFixed(2)} ms)`;
}

async function writeDelta(terminal: Terminal, args: Arguments, source: ModelFile, learned: Learned): Promise<void> {
  const parts = encodeDelta(source, learned);
  await writeFileAtomically(args.out, ...parts);
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  terminal.print(
    `${args.out}: ${showBytes(bytes)}; ort-tl apply makes the tuned model of it and of ${learned.manifest.source.file}`,
  );
  const written = { out: args.out, bytes, delta: true, base: learned.manifest.source };
  terminal.json(written);
  terminal.event({ type: 'done', ...written });
}
