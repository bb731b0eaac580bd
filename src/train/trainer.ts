import { basename } from 'node:path';
import { passOn } from '../passOn.js';
import { policyFileName } from '../policy/policy.js';
import { resultOf } from '../resultOf.js';
import { conclude } from './conclusion.js';
import type { EndedBy, Summary, TrainEvent } from './events.js';
import { cacheEvent, openEngine } from './openEngine.js';
import type { TrainOptions } from './trainOptions.js';
import { prepare, type Prepared } from './preparation.js';
import { findLearningRate } from './rangeTest.js';
import { RunFolder } from './runFolder.js';
import type { RunKeeper } from './runKeeper.js';
import { partsOf, type RunParts } from './runParts.js';
import { TrainingLoop } from './trainingLoop.js';
import { makesNewViews, slotsFor } from './views.js';

/**
 * A training of a classifier's chosen layers on a data set. It writes a run: artifacts, checkpoints (`best/`, `last/`), the
 * tuned `model.onnx`, `results.csv`, `summary.json` and what there is to look at.
 *
 *     for await (const event of new Trainer({ model, dataset, policy: 'F1C1', out: 'runs/first' })) …
 */
export class Trainer implements AsyncIterable<TrainEvent> {
  private folder: RunFolder | undefined;

  constructor(private readonly options: TrainOptions) {}

  /**
   * Trains, and tells what happens as it does.
   * @throws UserError for a policy that does not fit, too many unreadable photos, a loss that runs away, a full disk.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainEvent, Summary> {
    const { out, policy } = this.options;
    const folder = (this.folder = RunFolder.open(out, `training ${policy}`));
    try {
      return yield* train(folder, this.options);
    } finally {
      folder.close();
    }
  }

  /** Whether its folder still holds the run that it was to replace: that stays until the new one has something to show. */
  get holdsOldRun(): boolean {
    return this.folder?.holdsOldRun ?? false;
  }

  /** Whether classes weigh, or are drawn, otherwise than by how many photos they have. */
  get balances(): boolean {
    const { classWeights, sampling } = this.options;
    return (classWeights !== undefined && classWeights !== 'equal') || sampling === 'balanced';
  }

  /** The folder that the run is written into now: `out`, or, while that holds an earlier run, one inside of it. */
  get place(): string {
    return this.folder?.path('.') ?? this.options.out;
  }

  /** Trains to the end. @throws as the iterator does. */
  run(onEvent?: (event: TrainEvent) => void | Promise<void>): Promise<Summary> {
    return resultOf(this[Symbol.asyncIterator](), onEvent);
  }
}

async function* train(folder: RunFolder, options: TrainOptions): AsyncGenerator<TrainEvent, Summary> {
  const began = performance.now();
  const prepared = yield* prepare(folder, options);
  if ('finished' in prepared) {
    yield { type: 'finished' };
    yield { type: 'done', summary: prepared.finished };
    return prepared.finished;
  }
  await folder.startLog(prepared.resumed?.progress.results.length);
  // What was cut off between the checkpoint and what is written of it.
  if (prepared.resumed) await folder.settleBest(prepared.resumed.progress.best?.epoch);
  return yield* passOn(trainPrepared(folder, options, prepared, began), (event) => {
    if (event.type !== 'progress') folder.log(event);
    return event;
  });
}

async function* trainPrepared(
  folder: RunFolder,
  options: TrainOptions,
  prepared: Prepared,
  began: number,
): AsyncGenerator<TrainEvent, Summary> {
  const { manifest, settings, resumed } = prepared;
  const { threads, provider } = settings;
  yield { type: 'compiled', manifest, threads, provider, elapsedMs: performance.now() - began };
  const engine = await openEngine(folder.path('artifacts'), options, settings, manifest);
  let keeper: RunKeeper | undefined;
  try {
    const cache = await engine.cacheState();
    if (cache) yield await cacheEvent(cache, slotsFor(options.dataset, settings));
    const run = partsOf(prepared, options, folder, engine, { began, cached: cache && new Set(cache.keys) });
    keeper = run.keeper;
    if (resumed) await engine.setState(resumed.state);
    const endedBy = yield* learn(run);
    return yield* conclude(run, endedBy);
  } finally {
    try {
      // Where nobody looks any more, epochs that are finished may be unwritten.
      await keeper?.write({ progress: false });
    } finally {
      await engine.close();
    }
  }
}

/** Reads the photos, looks for a learning rate where none was given, and trains. Gives what ended it. */
async function* learn(run: RunParts): AsyncGenerator<TrainEvent, EndedBy> {
  const { settings, options, keeper, clock } = run;
  const loop = new TrainingLoop(run);
  const firstEpoch = keeper.progress.results.length + 1;
  if (options.resume) {
    // The results that are there may be older than the checkpoint.
    await keeper.writeResults();
    if (firstEpoch <= settings.epochs && !loop.hasWaitedEnough) yield keeper.goOn(firstEpoch, settings);
  }
  yield { type: 'reading' };
  clock.startEpoch();
  yield* readPhotos(run, firstEpoch);
  // What stops it before this has learned nothing.
  if (Number.isNaN(keeper.progress.learningRate)) yield* findLearningRate(run);
  return yield* loop.train(firstEpoch);
}

async function* readPhotos(
  { settings, options, engine, folder, keeper, slots }: RunParts,
  epoch: number,
): AsyncGenerator<TrainEvent> {
  yield* slots.read(epoch);
  keeper.checkRead(slots.readSlots);
  await folder.writeSkipped(slots.skipped);
  const { counts, lines } = slots.foundDuplicates();
  const notes = options.dataset.contents?.warnings ?? [];
  yield { type: 'photos', photos: slots.account(), duplicates: counts, notes, warnings: lines };
  if (!makesNewViews(settings)) await engine.releaseFrozen();
}

/** A name for a run: the model's and the policy's. */
export function runName(model: string, policy: string): string {
  return `${basename(model, '.onnx')}-${policyFileName(policy)}`;
}
