import { join } from 'node:path';
import {
  checkFitPlace,
  type Dataset,
  defaultCacheFolder,
  encodeTuned,
  filesOf,
  findMeter,
  fit,
  FIT_FILES,
  type FitEvent,
  fitFlagSettings,
  type FitMetrics,
  type FitResult,
  type Manifest,
  type ModelFile,
  openDataset,
  readManifest,
  readParameters,
  resultOf,
  settleFlags,
  UserError,
  writeFileAtomically,
  writeFit,
} from '../internal.js';
import { checkApart, checkPlace } from '../files.js';
import { interruptibly } from './interruptibly.js';
import { reportEvent, warnOfPhotos } from './report.js';
import type { FlagValues } from './runArguments.js';
import { withSettings } from './settingFlags.js';
import { shared } from './sharedFlags.js';
import { readSource } from './sourceModel.js';
import { showBytes, showCount, showPercent, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  artifacts: string;
  data: string | undefined;
  parameters: string | undefined;
  out: string;
  export: string | undefined;
  model: string | undefined;
  json: boolean;
  events: boolean;
  quiet: boolean;
}

/** Which photos validate must not change from round to round, and does not follow the seed of the order. */
const SPLIT_SEED = 0;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSettings(
      yargs
        .positional('artifacts', {
          type: 'string',
          demandOption: true,
          describe: 'folder of artifacts, as ort-tl compile writes them',
        })
        .option('data', {
          type: 'string',
          requiresArg: true,
          describe: 'photos of some of their classes: whatever ort-tl train takes; may be left out with --epochs 0',
        })
        .option('parameters', {
          type: 'string',
          requiresArg: true,
          describe: 'safetensors file of the parameters to begin with (default: those of the artifacts)',
        }),
      fitFlagSettings,
    )
      .option('out', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: `folder for ${FIT_FILES.parameters} and ${FIT_FILES.report}`,
      })
      .option('export', { type: 'string', requiresArg: true, describe: 'also write the tuned model, of --model' })
      .option('model', {
        type: 'string',
        requiresArg: true,
        describe: 'with --export: the pretrained model that the artifacts were compiled from',
      })
      .option('json', { ...shared.json, describe: `print ${FIT_FILES.report}` })
      .option('events', shared.events)
      .option('quiet', shared.quiet)
      .example(
        '$0 compile --model net.onnx --policy F1C1 --classes cat,dog --out artifacts/pets',
        'once, for all devices',
      )
      .example('$0 fit artifacts/pets --epochs 0 --out first', 'the parameters that the first round begins with')
      .example('$0 fit artifacts/pets --data photos --parameters first/parameters.safetensors --out mine', 'a round')
      .example(
        '$0 fit artifacts/pets --data photos --parameters p.safetensors --proximal 0.01 --out mine',
        'of FedProx',
      )
      .example(
        '$0 fit artifacts/pets --data test --val-fraction 1 --epochs 0 --parameters p.safetensors --out all',
        'what parameters are worth',
      )
      .example(
        '$0 fit artifacts/pets --epochs 0 --parameters p.safetensors --out end --export tuned.onnx --model net.onnx',
        'the model',
      ),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { valFraction, energy, watts, cache, ...settings } = settleFlags(fitFlagSettings, args);
    const { artifacts, data, parameters, out } = args;
    const manifest = readManifest(artifacts);
    const given = parameters === undefined ? undefined : readParameters(parameters, manifest);
    await checkOutputs(args);
    await interruptibly(terminal, { doing: 'stopping; nothing is written' }, async ({ signal }) => {
      const source = await sourceOf(terminal, args, signal);
      const dataset = data === undefined ? undefined : await photosFor(terminal, data, { manifest, valFraction });
      const access = await findMeter({ energy, ...(watts === undefined ? {} : { watts }) });
      const result = await resultOf(
        fit({
          ...settings,
          artifacts,
          signal,
          ...cacheOf(args, cache),
          ...(dataset ? { dataset } : {}),
          ...(given ? { parameters: given } : {}),
          ...(access.kind === 'meter' ? { meter: access.open() } : { noMeter: access.reason }),
        }),
        (event) => {
          show(terminal, event);
        },
      );
      if (source && args.export !== undefined) await writeTuned(args.export, source, manifest, result);
      await writeFit(out, result);
      report(terminal, args, result);
    });
  },
};

function cacheOf({ cache: given }: FlagValues, cache: string | undefined): { cache?: string } {
  return given === false ? {} : { cache: cache ?? defaultCacheFolder() };
}

/** Looks at all places that are to be written, before the work. */
async function checkOutputs({ artifacts, data, parameters, out, export: tuned, model }: Arguments): Promise<void> {
  if ((tuned === undefined) !== (model === undefined))
    throw new UserError(
      'bad-arguments',
      'expected --export and --model together: the tuned model is made of the pretrained one',
    );
  if (data !== undefined) checkApart(out, data);
  await checkPlace(out, 'folder', [artifacts]);
  checkFitPlace(out, parameters);
  if (tuned !== undefined) await checkPlace(tuned, 'file', parameters === undefined ? [] : [parameters]);
}

async function sourceOf(terminal: Terminal, { model, export: tuned }: Arguments, signal: AbortSignal) {
  if (model === undefined || tuned === undefined) return undefined;
  const source = (await readSource(terminal, model, signal)).model;
  await checkPlace(tuned, 'file', filesOf(source));
  return source;
}

async function photosFor(
  terminal: Terminal,
  data: string,
  { manifest, valFraction }: { readonly manifest: Manifest; readonly valFraction: number },
): Promise<Dataset> {
  const dataset = await openDataset(data, {
    task: manifest.task,
    valFraction,
    seed: SPLIT_SEED,
    use: 'measuring',
  });
  warnOfPhotos(terminal, dataset);
  return dataset;
}

async function writeTuned(path: string, source: ModelFile, manifest: Manifest, { parameters }: FitResult) {
  await writeFileAtomically(path, encodeTuned(source, { manifest, parameters }));
}

function show(terminal: Terminal, event: FitEvent): void {
  terminal.event(event);
  if (event.type === 'fitted')
    terminal.print(`epoch ${event.epoch} of ${event.epochs}: loss ${event.trainLoss.toFixed(4)}`);
  else reportEvent(terminal, event);
}

function report(terminal: Terminal, { out, export: tuned }: Arguments, { report: told }: FitResult): void {
  const { photos, features, before, after, seconds, joules, parameterBytes, fingerprint, epochs } = told;
  const worth = (metrics: FitMetrics) =>
    `${metrics.top1 === undefined ? `mAP ${showPercent(metrics.map ?? 0)}` : `top-1 ${showPercent(metrics.top1)}`}, loss ${metrics.loss.toFixed(4)}`;
  if (photos.train + photos.val > 0)
    terminal.print(
      `${showCount(photos.train)} photos ${epochs > 0 ? 'trained' : 'to train with'}, ${showCount(photos.val)} validated; features: ${showCount(features.computed)} computed, ${showCount(features.kept)} were there`,
    );
  if (before) terminal.print(`before: ${worth(before)}`);
  if (after && epochs > 0) terminal.print(`after: ${worth(after)}`);
  const energy = joules === null ? '' : `, ${joules.toFixed(1)} J${told.energyEstimated ? ' (estimated)' : ''}`;
  terminal.print(
    `${join(out, FIT_FILES.parameters)}: ${showBytes(parameterBytes)}, federation ${fingerprint}; ${seconds.total.toFixed(1)} s${energy}`,
  );
  if (tuned !== undefined) terminal.print(tuned);
  terminal.event({ type: 'done', report: told });
  terminal.json(told);
}
