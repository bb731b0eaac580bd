import { availableParallelism, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { compile, FILES, writeArtifacts } from '../artifacts/compile.js';
import type { Manifest, Preprocessing } from '../artifacts/manifest.js';
import type { StepOptions } from '../artifacts/stepOptions.js';
import { PhotoReader } from '../data/photoReader.js';
import type { Dataset, Photo } from '../data/imageFolder.js';
import { IMAGENET_MEAN, IMAGENET_STD } from '../data/preprocessing.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { tunedModel } from '../artifacts/tunedModel.js';
import { writeFileAtomically } from '../files.js';
import { type ModelFile, writeModel } from '../onnx/model.js';
import { writeSafetensors } from '../onnx/safetensors.js';
import type { Tensor } from '../onnx/tensor.js';
import { balancedWeights } from '../optim/loss.js';
import { type Optimizer, optimizers, usualLearningRates } from '../optim/optimizer.js';
import { cosineWithWarmup } from '../optim/schedule.js';
import { Random } from '../random.js';
import { Engine } from '../runtime/engine.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { argMax } from '../runtime/stepper.js';

export interface TrainOptions extends Omit<StepOptions, 'classWeights' | 'targets'> {
  readonly model: ModelFile;
  readonly dataset: Dataset;
  readonly policy: string;
  /** The run's folder; made if need be. */
  readonly out: string;
  /** Default 10. */
  readonly epochs?: number;
  /** Factors for the loss of each class; `balanced` weighs rare classes up. */
  readonly classWeights?: 'balanced' | readonly number[];
  /** Peak learning rate; the default follows optimizer and policy. */
  readonly learningRate?: number;
  /** Epochs, or a part of one, through which the learning rate rises; default 0.5. */
  readonly warmupEpochs?: number;
  readonly seed?: number;
  /** Side of the images in pixels, where the model leaves it open. */
  readonly size?: number;
  readonly resize?: Preprocessing['resize'];
  /** Threads of ONNX Runtime; 0 (default) takes one for each core. */
  readonly threads?: number;
  /** Share of unreadable photos that stops the run; default 0.05. */
  readonly maxBad?: number;
  /** How many validation photos the exported model is run on again; default all. */
  readonly verify?: number;
  /** Ends the training after the step under way; what was learned is kept. */
  readonly signal?: AbortSignal;
}

/** One line of `results.csv`. */
export interface EpochResult {
  readonly epoch: number;
  readonly learningRate: number;
  readonly trainLoss: number;
  readonly trainTop1: number;
  readonly valLoss: number;
  /** Share of validation photos whose class is right, 0 to 1. */
  readonly top1: number;
  /** Of this epoch: in the first, reading the photos and running the frozen part included. */
  readonly elapsedMs: number;
  readonly imagesPerSecond: number;
}

/** `summary.json`. */
export interface Summary {
  readonly policy: string;
  readonly seed: number;
  readonly epochs: number;
  readonly top1: number;
  readonly bestEpoch: number;
  readonly elapsedMs: number;
  readonly peakRssBytes: number;
  /** Path of the tuned model. */
  readonly model: string;
  readonly classes: readonly string[];
  readonly trainPhotos: number;
  readonly valPhotos: number;
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly batch: number;
  readonly learningRate: number;
  readonly optimizer: string;
  readonly threads: number;
  readonly cost: Manifest['cost'];
  /** The exported model in a plain session against the evaluation that chose it. */
  readonly verified: { readonly photos: number; readonly agreeing: number };
  readonly stopped: boolean;
}

export type TrainEvent =
  | { readonly type: 'compiled'; readonly manifest: Manifest; readonly elapsedMs: number }
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  | {
      readonly type: 'progress';
      readonly phase: 'reading photos' | 'training' | 'verifying';
      readonly epoch: number;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'epoch'; readonly result: EpochResult; readonly epochs: number }
  | { readonly type: 'done'; readonly summary: Summary };

/** Photos of one run of the frozen part. */
const FROZEN_BATCH = 16;
/** Steps asked of the worker at a time: progress is told between them. */
const STEPS_PER_CALL = 16;

/** Peak learning rates for some ten epochs; training every layer disturbs more, so it goes slower. */
export function defaultLearningRate(optimizer: Optimizer, policy: string): number {
  const base = usualLearningRates[optimizer.name];
  return policy.toLowerCase() === 'full' ? base / 4 : base;
}

/**
 * Trains a classifier's chosen layers on a data set and writes a run: artifacts, checkpoints (`best/`, `last/`),
 * `results.csv`, `model.onnx` and `summary.json`.
 * @throws UserError for a policy that does not fit, too many unreadable photos, a loss that is no number, a full disk.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainEvent, Summary> {
  const { dataset, out, epochs = 10, optimizer = optimizers.adamw, seed = 0, signal } = options;
  const { warmupEpochs = 0.5, maxBad = 0.05, threads = availableParallelism() } = options;
  const learningRate = options.learningRate ?? defaultLearningRate(optimizer, options.policy);
  // A batch that the photos cannot fill would be nothing but padding.
  const batch = Math.min(options.batch ?? 32, dataset.train.length);
  const began = performance.now();

  const { classWeights, ...choices } = options;
  const compiled = compile(options.model, {
    ...choices,
    classes: dataset.classes,
    batch,
    microBatch: Math.min(options.microBatch ?? batch, batch),
    optimizer,
    seed,
    ...(classWeights ? { classWeights: weightsOfClasses(classWeights, dataset) } : {}),
    preprocessing: ([height, width]) => ({
      height,
      width,
      resize: options.resize ?? 'crop',
      mean: IMAGENET_MEAN,
      std: IMAGENET_STD,
    }),
  });
  const artifacts = join(out, 'artifacts');
  const manifest = await writeArtifacts(compiled, artifacts);
  yield { type: 'compiled', manifest, elapsedMs: performance.now() - began };

  const photos = [...dataset.train, ...dataset.val];
  checkMemory(manifest, photos.length);
  const engine = await Engine.start(artifacts, { slots: photos.length, threads });
  const abort = () => engine.stop();
  signal?.addEventListener('abort', abort);
  try {
    const firstEpochBegan = performance.now();
    const skipped = new SkippedPhotos();
    const readable = yield* readPhotos(engine, photos, manifest.preprocessing, { skipped, maxBad, signal });
    const trainSlots = readable.filter((slot) => slot < dataset.train.length);
    const valSlots = readable.filter((slot) => slot >= dataset.train.length);
    if (trainSlots.length === 0 || valSlots.length === 0)
      throw new UserError(
        'no-photos',
        `${dataset.folder} has no readable photos to ${trainSlots.length === 0 ? 'train' : 'validate'} with`,
      );
    await engine.releaseFrozen();

    const run = new Run(engine, out, manifest, photos);
    const stepsPerEpoch = Math.ceil(trainSlots.length / batch);
    const total = epochs * stepsPerEpoch;
    const warmup = Math.round(warmupEpochs * stepsPerEpoch);
    for (let epoch = 1; epoch <= epochs && !signal?.aborted; epoch++) {
      const epochBegan = epoch === 1 ? firstEpochBegan : performance.now();
      const order = new Random(seed).fork(`epoch ${epoch}`).shuffle([...trainSlots]);
      const slots = new Int32Array(stepsPerEpoch * batch).fill(-1);
      slots.set(order);
      const before = (epoch - 1) * stepsPerEpoch;
      const learningRates = Float32Array.from({ length: stepsPerEpoch }, (_, step) =>
        cosineWithWarmup(learningRate, before + step, total, warmup),
      );
      let [lossSum, correct, images] = [0, 0, 0];
      for (let step = 0; step < stepsPerEpoch && !signal?.aborted; step += STEPS_PER_CALL) {
        const until = Math.min(stepsPerEpoch, step + STEPS_PER_CALL);
        const result = await engine.steps({
          slots: slots.subarray(step * batch, until * batch),
          learningRates: learningRates.subarray(step, until),
          firstStep: before + step + 1,
        });
        for (const [index, loss] of result.losses.entries()) {
          if (!Number.isFinite(loss)) throw diverged(epoch, step + index + 1, learningRate, run.best?.epoch);
          const size = Math.min(batch, trainSlots.length - (step + index) * batch);
          lossSum += loss * size;
        }
        correct += result.correct;
        images += result.images;
        yield {
          type: 'progress',
          phase: 'training',
          epoch,
          done: Math.min(until * batch, trainSlots.length),
          total: trainSlots.length,
        };
      }
      if (images === 0) break;
      const evaluation = await run.evaluate(valSlots);
      const elapsedMs = performance.now() - epochBegan;
      const result: EpochResult = {
        epoch,
        learningRate: learningRates[0] ?? 0,
        trainLoss: lossSum / images,
        trainTop1: correct / images,
        ...evaluation,
        elapsedMs,
        imagesPerSecond: (1000 * images) / elapsedMs,
      };
      await run.finishEpoch(result);
      yield { type: 'epoch', result, epochs };
    }
    if (!run.best)
      throw new UserError('stopped', 'stopped before the first step was taken; nothing was written but the artifacts');

    const model = join(out, 'model.onnx');
    await writeModel(tunedModel(options.model.proto, manifest, run.best.parameters), model);
    const verified = yield* verify(
      model,
      run.best.predictions,
      photos,
      valSlots.slice(0, options.verify ?? valSlots.length),
      threads,
    );
    const summary: Summary = {
      policy: manifest.policy,
      seed,
      epochs: run.results.length,
      top1: run.best.top1,
      bestEpoch: run.best.epoch,
      elapsedMs: performance.now() - began,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      model,
      classes: dataset.classes,
      trainPhotos: trainSlots.length,
      valPhotos: valSlots.length,
      skipped: skipped.list,
      batch,
      learningRate,
      optimizer: optimizer.name,
      threads,
      cost: manifest.cost,
      verified,
      stopped: signal?.aborted ?? false,
    };
    await writeFileAtomically(join(out, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
    yield { type: 'done', summary };
    return summary;
  } finally {
    signal?.removeEventListener('abort', abort);
    await engine.close();
  }
}

function weightsOfClasses(weights: 'balanced' | readonly number[], { train, classes }: Dataset): readonly number[] {
  if (weights !== 'balanced') return weights;
  return balancedWeights(
    train.map(({ label }) => label),
    classes.length,
  );
}

/** Share of the machine's memory that the photos' boundary may take. */
const LARGEST_SHARE = 0.7;

function checkMemory({ cost, policy }: Manifest, photos: number): void {
  const [needed, largest] = [photos * cost.boundaryBytes, LARGEST_SHARE * totalmem()];
  if (needed <= largest) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw new UserError(
    'too-little-memory',
    `policy ${policy} keeps ${megabytes(needed)} for ${photos} photos, and this machine allows ${megabytes(largest)}; choose a policy that trains fewer layers, or fewer photos`,
  );
}

/** Reads every photo once and keeps its boundary in the slot of its place in `photos`. Gives the slots that are filled. */
async function* readPhotos(
  engine: Engine,
  photos: readonly Photo[],
  preprocessing: Preprocessing,
  { skipped, maxBad, signal }: { skipped: SkippedPhotos; maxBad: number; signal: AbortSignal | undefined },
): AsyncGenerator<TrainEvent, number[]> {
  const imageBytes = preprocessing.height * preprocessing.width * 3;
  const filled: number[] = [];
  const events: TrainEvent[] = [];
  let pending: { slot: number; label: number; pixels: Uint8Array }[] = [];
  let stored: Promise<void> = Promise.resolve();
  // One batch is in the worker while the next is decoded.
  const flush = async () => {
    const [first] = pending;
    if (!first) return;
    const pixels = new Uint8Array(pending.length * imageBytes);
    pending.forEach((photo, index) => pixels.set(photo.pixels, index * imageBytes));
    const labels = pending.map(({ label }) => label);
    pending = [];
    await stored;
    stored = engine.store(first.slot, labels, pixels);
    stored.catch(() => undefined);
  };
  const reader = new PhotoReader();
  const onSkipped = (photo: Photo, error: Error) => {
    skipped.add(photo.path, error.message);
    skipped.check(photos.length, maxBad);
    events.push({ type: 'skipped', path: photo.path, reason: error.message });
  };
  for await (const { index, photo, pixels } of reader.read(photos, preprocessing, {
    concurrency: 2 * FROZEN_BATCH,
    onSkipped,
  })) {
    if (signal?.aborted) throw new UserError('stopped', 'stopped while reading the photos; nothing was trained');
    // Slots of a batch are consecutive; an unreadable photo leaves a gap.
    const last = pending.at(-1);
    if (pending.length === FROZEN_BATCH || (last && last.slot + 1 !== index)) await flush();
    pending.push({ slot: index, label: photo.label, pixels });
    filled.push(index);
    yield* events.splice(0);
    if (filled.length % FROZEN_BATCH === 0)
      yield { type: 'progress', phase: 'reading photos', epoch: 1, done: index + 1, total: photos.length };
  }
  await flush();
  await stored;
  yield* events.splice(0);
  return filled;
}

/** What one training accumulates on disk. */
class Run {
  readonly results: EpochResult[] = [];
  best:
    | { epoch: number; top1: number; parameters: ReadonlyMap<string, Tensor>; predictions: ReadonlyMap<number, number> }
    | undefined;
  private predictions = new Map<number, number>();

  constructor(
    private readonly engine: Engine,
    private readonly out: string,
    private readonly manifest: Manifest,
    private readonly photos: readonly Photo[],
  ) {}

  /** Mean cross-entropy and top-1 over stored photos. */
  async evaluate(slots: readonly number[]): Promise<{ valLoss: number; top1: number }> {
    const { logits } = await this.engine.evaluate(Int32Array.from(slots));
    const classes = this.manifest.classes.length;
    this.predictions = new Map();
    let [loss, correct] = [0, 0];
    slots.forEach((slot, index) => {
      const label = this.photos[slot]?.label ?? 0;
      const row = logits.subarray(index * classes, (index + 1) * classes);
      const predicted = argMax(row, 0, classes);
      this.predictions.set(slot, predicted);
      if (predicted === label) correct++;
      const largest = row[predicted] ?? 0;
      loss += largest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) - (row[label] ?? 0);
    });
    return { valLoss: loss / slots.length, top1: correct / slots.length };
  }

  /** Writes `last/`, `best/` when this epoch is the best so far, and `results.csv`. */
  async finishEpoch(result: EpochResult): Promise<void> {
    this.results.push(result);
    const state = await this.engine.getState();
    const metadata = { epoch: String(result.epoch), top1: String(result.top1), source: this.manifest.source.sha256 };
    await writeSafetensors(join(this.out, 'last', FILES.checkpoint), state, metadata);
    if (!this.best || result.top1 > this.best.top1) {
      const parameters = new Map(
        this.manifest.parameters.flatMap(({ name, average }) => {
          const value = state.get(average ?? name);
          return value ? [[name, value] as const] : [];
        }),
      );
      await writeSafetensors(join(this.out, 'best', FILES.checkpoint), parameters, metadata);
      this.best = { epoch: result.epoch, top1: result.top1, parameters, predictions: this.predictions };
    }
    const columns = [
      'epoch',
      'learningRate',
      'trainLoss',
      'trainTop1',
      'valLoss',
      'top1',
      'elapsedMs',
      'imagesPerSecond',
    ] as const;
    const lines = this.results.map((line) => columns.map((column) => String(line[column])).join(','));
    await writeFileAtomically(join(this.out, 'results.csv'), `${[columns.join(','), ...lines].join('\n')}\n`);
  }
}

function diverged(epoch: number, step: number, learningRate: number, bestEpoch: number | undefined): UserError {
  const kept = bestEpoch === undefined ? 'no epoch was finished' : `the weights of epoch ${bestEpoch} are in best/`;
  return new UserError(
    'diverged',
    `the loss is no longer a number at epoch ${epoch}, step ${step}; ${kept}; try a smaller learning rate than ${learningRate} (--lr)`,
  );
}

/** Runs the exported model again, as a program that deploys it would, and compares its classes with the chosen evaluation's. */
async function* verify(
  model: string,
  predictions: ReadonlyMap<number, number>,
  photos: readonly Photo[],
  slots: readonly number[],
  threads: number,
): AsyncGenerator<TrainEvent, { photos: number; agreeing: number }> {
  const classifier = await ImageClassifier.open(model, threads);
  const chosen = slots.flatMap((slot) => (photos[slot] ? [photos[slot]] : []));
  let [done, agreeing] = [0, 0];
  try {
    const ignore = () => undefined;
    for await (const { index, pixels } of new PhotoReader().read(chosen, classifier.preprocessing, {
      concurrency: FROZEN_BATCH,
      onSkipped: ignore,
    })) {
      const scores = await classifier.run(pixels, 1);
      if (argMax(scores, 0, scores.length) === predictions.get(slots[index] ?? -1)) agreeing++;
      if (++done % FROZEN_BATCH === 0)
        yield { type: 'progress', phase: 'verifying', epoch: 0, done, total: chosen.length };
    }
  } finally {
    await classifier.close();
  }
  return { photos: done, agreeing };
}

/** A name for a run: the model's and the policy's. */
export function runName(model: string, policy: string): string {
  return `${basename(model, '.onnx')}-${policy}`;
}
