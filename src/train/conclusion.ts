import { UserError } from '../errors.js';
import { allFinite, notFinite } from '../finite.js';
import { runtimeVersion } from '../runtime/ort.js';
import { toleranceOf } from './agreement.js';
import { inPlaceOfAverages } from './evaluatedState.js';
import type { EndedBy, FinalPart, SummedMetrics, Summary, TrainEvent } from './events.js';
import { targetRows } from '../data/labels.js';
import { summed, thresholdsOf } from './headline.js';
import { mapInterval } from './mapInterval.js';
import { modelCard } from './modelCard.js';
import { machineSettings } from './runSettings.js';
import type { Best } from './runFolder.js';
import type { RunParts } from './runParts.js';
import type { Evaluated } from './validation.js';
import { type Verification, verify } from './verification.js';

/**
 * Exports the best weights, runs the exported model again, and writes the summary. A signal makes it short: what it leaves out is told.
 * @throws UserError `stopped` where no epoch was finished, `not-finite` where the best weights give no numbers.
 */
export async function* conclude(run: RunParts, endedBy: EndedBy): AsyncGenerator<TrainEvent, Summary> {
  const { keeper, folder, engine, manifest, models } = run;
  await keeper.write();
  const part = keeper.progress.best ? undefined : await keepPart(run, endedBy);
  const best = folder.readBest();
  await models.write(best);
  await engine.setState(inPlaceOfAverages(manifest, best.parameters));
  const bestEpoch = keeper.progress.best?.epoch ?? 1;
  const evaluated = yield* evaluateAtEnd(run, bestEpoch);
  if (evaluated && !allFinite(evaluated.logits)) throw notFinite(`the weights of epoch ${bestEpoch} give no numbers`);
  const thresholds = evaluated ? thresholdsOf(evaluated.metrics) : best.thresholds;
  if (thresholds && !best.thresholds) await keepThresholds(run, { ...best, thresholds });
  // Before another session takes its memory.
  await engine.close();
  const leftOut: FinalPart[] = evaluated ? [] : ['evaluation'];
  if (!(await writeReport(run, evaluated))) leftOut.push('report');
  const verified = yield* verifyModels(run, evaluated);
  if (!verified.isWhole) leftOut.push('verification');
  const metrics = evaluated ? summed(evaluated.metrics) : metricsOfEpoch(run, bestEpoch);
  const perClass = evaluated?.metrics.classes ?? [];
  const interval = evaluated && intervalOf(run, evaluated);
  const found = { part, bestEpoch, metrics, thresholds, interval, perClass };
  const summary = summaryOf(run, { endedBy, ...found, verified, leftOut });
  await folder.writeCard(cardOf(run, summary));
  await folder.writeSummary(summary);
  yield { type: 'done', summary };
  return summary;
}

/**
 * Keeps what was learned of a first epoch that the time ended as what becomes the model, while the progress is still in it.
 * @throws UserError `stopped` where it was not the time.
 */
async function keepPart(run: RunParts, endedBy: EndedBy): Promise<NonNullable<Summary['part']>> {
  const { options, keeper, folder, engine, slots } = run;
  const { steps } = keeper.progress.partial;
  if (endedBy !== 'time-limit' || options.signal?.aborted) {
    const kept = folder.holdsOldRun
      ? `the run in ${options.out} is as it was`
      : steps > 0
        ? `what was learned is in ${options.out}/last`
        : 'nothing was learned yet';
    throw new UserError('stopped', `stopped before the first epoch was finished; ${kept}`);
  }
  await keeper.writePartAsBest(await engine.getState(), steps);
  return { epoch: 1, steps, of: slots.stepsPerEpoch };
}

/** Writes the thresholds of weights that were kept before any were found. */
async function keepThresholds({ folder, models, manifest, keeper }: RunParts, best: Best): Promise<void> {
  await folder.writeBest(best, { epoch: 1, steps: keeper.progress.partial.steps }, manifest.source.sha256);
  await folder.settleBest(1);
  await models.write(best);
}

/** The interval of the mean average precision of labels; undefined where photos have one class. */
function intervalOf(
  { settings, manifest, slots }: RunParts,
  { logits, metrics }: Evaluated,
): readonly [number, number] | undefined {
  if (!('map' in metrics)) return undefined;
  const labels = manifest.classes.length;
  return mapInterval(logits, targetRows(slots.valPhotos, labels), labels, settings.seed);
}

/** What the exported model gives on the validation photos; undefined where a signal leaves no time for it. */
async function* evaluateAtEnd(
  { options, validation }: RunParts,
  epoch: number,
): AsyncGenerator<TrainEvent, Evaluated | undefined> {
  if (options.signal?.aborted) return undefined;
  try {
    return yield* validation.evaluate(epoch);
  } catch (thrown) {
    if (thrown instanceof UserError && thrown.code === 'stopped') return undefined;
    throw thrown;
  }
}

/** Writes what there is to look at. Gives whether all of it was written before the signal fired. */
async function writeReport(
  { folder, keeper, options, slots }: RunParts,
  evaluated: Evaluated | undefined,
): Promise<boolean> {
  if (!evaluated) return false;
  const { metrics, logits } = evaluated;
  const { results } = keeper.progress;
  const { classes } = options.dataset;
  return folder.writeReport({ results, classes, metrics, photos: slots.valPhotos, logits }, options.signal);
}

interface Verified {
  /** Photos that the exported model was to be run on. */
  readonly count: number;
  readonly exported: Verification;
  /** The model with the frozen part in float, where there is one. */
  readonly inFloat: Verification | undefined;
  /** Whether it was run on as many as it should be. */
  readonly isWhole: boolean;
}

async function* verifyModels(
  { options, settings, manifest, models, slots }: RunParts,
  evaluated: Evaluated | undefined,
): AsyncGenerator<TrainEvent, Verified> {
  const { signal } = options;
  const photos = slots.valPhotos;
  const wanted = Math.min(machineSettings.verify.parse(options.verify), photos.length);
  const count = signal?.aborted ? 0 : wanted;
  const { logits = new Float32Array() } = evaluated ?? {};
  const checked = { count, logits, threads: settings.threads, tolerance: toleranceOf(settings), signal };
  const exported = yield* verify(models.path, photos, checked);
  const inFloat = manifest.frozen && count > 0 ? yield* verify(models.floatPath, photos, checked) : undefined;
  const isWhole = !signal?.aborted || [exported, inFloat].every((each) => !each || each.agreement.photos === wanted);
  return { count, exported, inFloat, isWhole };
}

/** Metrics as they were when the epoch was finished. @throws UserError `stopped` where none was. */
function metricsOfEpoch({ keeper, options }: RunParts, epoch: number): SummedMetrics {
  const result = keeper.progress.results.find((each) => each.epoch === epoch);
  if (!result)
    throw new UserError(
      'stopped',
      `stopped before the first epoch was finished; what was learned is in ${options.out}/last`,
    );
  const { valLoss: loss, macroF1, map, microF1 = NaN, top1 = NaN, top5 = NaN, balancedAccuracy = NaN } = result;
  return map === undefined ? { loss, top1, top5, macroF1, balancedAccuracy } : { loss, map, macroF1, microF1 };
}

interface Concluded extends Pick<Summary, 'endedBy' | 'bestEpoch' | 'perClass' | 'leftOut'> {
  readonly part: Summary['part'];
  readonly metrics: Summary['metrics'];
  readonly thresholds: readonly number[] | undefined;
  readonly interval: readonly [number, number] | undefined;
  readonly verified: Verified;
}

function summaryOf(
  run: RunParts,
  { endedBy, part, bestEpoch, metrics, thresholds, interval, perClass, verified, leftOut }: Concluded,
): Summary {
  const { options, settings, manifest, keeper, clock, models, slots } = run;
  const { progress } = keeper;
  return {
    task: settings.task,
    policy: manifest.policy,
    notes: manifest.notes,
    warnings: manifest.warnings,
    seed: settings.seed,
    epochs: progress.results.length,
    endedBy,
    ...(part ? { part } : {}),
    ...('map' in metrics ? { map: metrics.map } : { top1: metrics.top1 }),
    ...(interval ? { mapInterval: interval } : {}),
    ...(thresholds ? { thresholds } : {}),
    bestEpoch,
    metric: settings.metric,
    metrics,
    perClass,
    elapsedMs: clock.elapsedMs,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    ...(options.memoryBytes === undefined ? {} : { memoryLimitBytes: options.memoryBytes }),
    model: models.path,
    classes: options.dataset.classes,
    trainPhotos: slots.trainPhotos,
    valPhotos: slots.valSlots.length,
    photos: slots.account(),
    duplicates: slots.foundDuplicates().counts,
    skipped: slots.skipped,
    batch: settings.batch,
    learningRate: progress.learningRate,
    optimizer: settings.optimizer.name,
    threads: settings.threads,
    provider: settings.provider,
    cost: manifest.cost,
    verified: verified.exported.agreement,
    ...frozenOf(run, verified),
    moves: progress.moves,
    leftOut,
    stopped: endedBy === 'interrupt' || leftOut.length > 0,
  };
}

function cardOf({ options, settings, manifest }: RunParts, summary: Summary): string {
  const { optimizer, batch, learningRate } = summary;
  const { schedule, seed } = settings;
  return modelCard({
    summary,
    source: options.model,
    preprocessing: manifest.preprocessing,
    data: options.dataset.folder,
    settings: { optimizer, 'learning rate': learningRate, schedule, batch, seed },
    runtime: runtimeVersion,
  });
}

/** What a frozen part in whole numbers costs, where it was verified. */
function frozenOf(
  { manifest, models }: RunParts,
  { count, exported, inFloat, isWhole }: Verified,
): Pick<Summary, 'frozen'> {
  if (!manifest.frozen || !inFloat || !isWhole) return {};
  const { precision, calibration } = manifest.frozen;
  const score = { int8: exported.score, float32: inFloat.score };
  return {
    frozen: {
      precision,
      calibration,
      photos: count,
      model: models.floatPath,
      agreeing: inFloat.agreement.agreeing,
      ...(manifest.task === 'labels' ? { map: score } : { top1: score }),
    },
  };
}
