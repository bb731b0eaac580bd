import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { classifierOf } from '../artifacts/prepare.js';
import { mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import type { Photo } from '../data/dataset.js';
import { UserError } from '../errors.js';
import { parsePolicy, showPolicy } from '../policy/policy.js';
import { Random } from '../random.js';
import { type Settings, settingsOf, type TrainOptions } from '../train/options.js';
import { processBytes } from '../train/trainer.js';
import { decide, type Decision, frontOf, type Outcome } from './decision.js';
import { Trial, type UnitCosts } from './trial.js';

/** What is measured, and what is to be found out. */
export interface RecommendOptions
  extends Omit<TrainOptions, 'policy' | 'out' | 'cache' | 'resume' | 'overwrite' | 'verify' | 'tensorboard' | 'metric'> {
  /**
   * What to choose from, each training what the one before it trains and more; default F1C0 to F1C3, as far as the model has
   * convolutions, and full. F1C0 is always among them.
   */
  readonly policies?: readonly string[];
  /** The most joules that the training may take. `timeLimitMs` and `memoryBytes` bound the rest. */
  readonly energyLimitJ?: number;
  /** Measures the short trainings; required where joules are bounded. */
  readonly meter?: EnergyMeter;
  /** Accuracy, as a share of photos, that is not worth the cost of more layers; default 0.01. */
  readonly tolerance?: number;
  /** What choosing may take, as a share of what training by every policy would; default 0.1. */
  readonly effort?: number;
}

/** A stopwatch of energy, such as {@link findMeter} finds. */
export interface EnergyMeter {
  start(): Promise<void>;
  /** @param cpuSeconds of the work, of which an estimate is made. */
  stop(cpuSeconds: number): Promise<{ readonly grossJ: number; readonly estimated: boolean }>;
}

/** What there is to know of a policy, for a training with the settings that were given. */
export interface PolicyReport {
  readonly policy: string;
  readonly trainableParameters: number | null;
  /** Top-1 on photos that were held out, after short trainings: it tells policies apart, and is lower than what the whole training gives. */
  readonly accuracy: number | null;
  /** 95 % interval. */
  readonly interval: readonly [number, number] | null;
  /** Images on which its longest short training took steps, as a share of the whole training's; 0 for the head alone, whose training is whole but on fewer photos. */
  readonly trainedShare: number | null;
  /** Short trainings of that length. */
  readonly seeds: number;
  /** The whole training, reading the photos included, as predicted from timed steps. */
  readonly predictedMs: number | null;
  readonly memoryBytes: number | null;
  readonly energyJ: number | null;
  /** Share of resamples in which it is chosen. */
  readonly chosenShare: number | null;
  /** Why it is chosen, or not. */
  readonly verdict: string;
}

export interface Recommendation {
  readonly policy: string;
  readonly reason: string;
  /** Share of resamples of photos and seeds in which the same policy is chosen. */
  readonly confidence: number;
  readonly policies: readonly PolicyReport[];
  readonly epochs: number;
  readonly tolerance: number;
  /** Of the data set's training photos: those that short trainings took, and those that they were judged by. */
  readonly trainedPhotos: number;
  readonly heldOutPhotos: number;
  /** Whether joules are an estimate; null where there are none. */
  readonly energyEstimated: boolean | null;
  readonly elapsedMs: number;
  /** What training by each of the policies would take. */
  readonly sweepMs: number;
  /** What the reader should know beside the numbers. */
  readonly notes: readonly string[];
}

export type RecommendEvent =
  | { readonly type: 'measured'; readonly policy: string; readonly predictedMs: number }
  | {
      readonly type: 'progress';
      readonly phase: 'measuring' | 'reading photos' | 'training shortly';
      readonly done: number;
      readonly total: number;
    }
  | {
      readonly type: 'trained';
      readonly policy: string;
      readonly photos: number;
      readonly epochs: number;
      readonly seed: number;
      readonly top1: number;
    }
  | { readonly type: 'done'; readonly recommendation: Recommendation };

/** Held-out photos: with 600 the difference of two policies that disagree on 6 % of them is known to a point. */
const HELD_OUT = 600;
const HELD_OUT_SHARE = 0.25;
/** Shares of what is left to spend: on features of photos to train on, and on those held out with their evaluations. */
const FEATURES_SHARE = 0.2;
const EVALUATION_SHARE = 0.25;
/** A training of fewer steps says nothing. */
const LEAST_STEPS = 4;
/** Seeds of the finalists. */
const MOST_SEEDS = 3;
/** Rows of the feature cache that a training keeps in memory. */
const ROWS_IN_MEMORY = 64 * 2 ** 20;

/**
 * Finds how many layers to train: measures what each of nested policies costs, trains those inside the limits shortly, by successive
 * halving (Jamieson and Talwalkar 2016), on a part of the training photos, and chooses the cheapest that is about as accurate
 * as the best. The validation photos are not looked at.
 * @throws UserError `no-policy-fits`, `no-energy`, `stopped`, and what a training throws.
 */
export async function* recommend(options: RecommendOptions): AsyncGenerator<RecommendEvent, Recommendation> {
  if (options.energyLimitJ !== undefined && !options.meter)
    throw new UserError(
      'no-energy',
      'there is nothing to measure joules with, so none can be promised; state what a busy core draws (--watts) for an estimate, or leave out --energy',
    );
  const root = await mkdtemp(join(tmpdir(), 'ort-tl-recommend-'));
  const search = new Search(options, root);
  try {
    return yield* search.run();
  } finally {
    await search.close();
    await rm(root, { recursive: true, force: true });
  }
}

/** Runs {@link recommend} to its end. */
export async function recommendation(
  options: RecommendOptions,
  onEvent: (event: RecommendEvent) => void = () => undefined,
): Promise<Recommendation> {
  const events = recommend(options);
  while (true) {
    const next = await events.next();
    if (next.done) return next.value;
    onEvent(next.value);
  }
}

/** The policies that are tried unless others are named. */
export function nestedPolicies({ model, size }: Pick<TrainOptions, 'model' | 'size'>): string[] {
  const { convs } = classifierOf(model, size).layers;
  // The last convolution alone may be the whole of a small network's.
  const counts = [0, 1, 2, 3].filter((count) => count < convs.length);
  return [...counts.map((count) => `F1C${count}`), 'full'];
}

/** A policy that was measured. */
interface Candidate {
  readonly trial: Trial;
  readonly costs: UnitCosts;
  readonly predictedMs: number;
  readonly memoryBytes: number;
  /** Joules and milliseconds of its work so far. */
  readonly spent: { joules: number; ms: number };
  /** Why it is not to be chosen, however accurate it is. */
  exceeds: string | undefined;
}

/** How long a short training is. */
interface Length {
  readonly photos: number;
  readonly epochs: number;
}

class Search {
  private readonly began = performance.now();
  private readonly photos: readonly Photo[];
  private readonly labels: readonly number[];
  private readonly candidates: Candidate[] = [];
  /** Policies that could not be compiled within the limits, and why. */
  private readonly refused = new Map<string, string>();
  private readonly outcomes: Outcome[] = [];
  private energyEstimated: boolean | null = null;

  constructor(
    private readonly options: RecommendOptions,
    private readonly root: string,
  ) {
    this.photos = interleaved(options.dataset.train, options.seed ?? 0);
    this.labels = this.photos.map(({ label }) => label);
  }

  async close(): Promise<void> {
    for (const { trial } of this.candidates) await trial.close();
  }

  async *run(): AsyncGenerator<RecommendEvent, Recommendation> {
    yield* this.measureAll();
    const inside = this.candidates.filter(({ exceeds }) => exceeds === undefined);
    const [first] = inside;
    if (!first) throw this.nothingFits();
    const race =
      inside.length === 1
        ? undefined
        : yield* this.race(inside, this.began + (this.options.effort ?? EFFORT) * this.sweepMs);
    const recommendation = this.conclude(inside, race);
    yield { type: 'done', recommendation };
    return recommendation;
  }

  /** Compiles every policy and times its parts. F1C0 comes first. */
  private async *measureAll(): AsyncGenerator<RecommendEvent> {
    const policies = policiesOf(this.options);
    for (const [index, policy] of policies.entries()) {
      yield { type: 'progress', phase: 'measuring', done: index, total: policies.length };
      const candidate = await this.measure(policy);
      if (!candidate) continue;
      this.candidates.push(candidate);
      yield { type: 'measured', policy, predictedMs: candidate.predictedMs };
    }
    yield { type: 'progress', phase: 'measuring', done: policies.length, total: policies.length };
  }

  private async measure(policy: string): Promise<Candidate | undefined> {
    const { options } = this;
    this.checkStopped();
    let trial: Trial;
    try {
      // Views of photos are no features that can be kept; what they are worth is left to the whole training.
      trial = await Trial.compile({ ...options, policy, out: this.root, augmentation: {}, views: 0 }, this.root);
    } catch (thrown) {
      if (!(thrown instanceof UserError) || !REFUSALS.includes(thrown.code)) throw thrown;
      this.refused.set(policy, thrown.message);
      return undefined;
    }
    const spent = { joules: 0, ms: 0 };
    const costs = await this.metered(spent, () => trial.measure(this.photos, options.signal));
    const predictedMs = this.predict(costs);
    const candidate = { trial, costs, predictedMs, memoryBytes: this.memoryOf(trial), spent, exceeds: undefined };
    return { ...candidate, exceeds: this.excessOf(candidate) };
  }

  /** Milliseconds of the whole training. */
  private predict({ setUpMs, featuresMs, stepMs, evaluationMs }: UnitCosts): number {
    const { train, val } = this.options.dataset;
    const { epochs, augmentation, views } = this.settings;
    const varies = variesPhotos(augmentation) || mixesPhotos(augmentation);
    const viewsRead = !varies ? 1 : views > 0 ? views : epochs;
    const features = featuresMs * (train.length * viewsRead + val.length);
    return setUpMs + features + epochs * (train.length * stepMs + val.length * evaluationMs);
  }

  private get settings(): Settings {
    return settingsOf({ ...this.options, policy: 'F1C0', out: this.root });
  }

  private memoryOf({ manifest }: Trial): number {
    const { train, val } = this.options.dataset;
    const rows = (train.length + val.length) * manifest.cost.boundaryBytes;
    return processBytes(manifest) + Math.min(rows, ROWS_IN_MEMORY);
  }

  /** By which limit a policy is out, if by any. */
  private excessOf(candidate: Candidate): string | undefined {
    const { timeLimitMs = Infinity, energyLimitJ = Infinity } = this.options;
    const energyJ = energyOf(candidate);
    if (candidate.predictedMs > timeLimitMs)
      return `would take about ${seconds(candidate.predictedMs)}, and ${seconds(timeLimitMs)} are allowed`;
    if (energyJ !== null && energyJ > energyLimitJ)
      return `would take about ${joules(energyJ)}, and ${joules(energyLimitJ)} are allowed`;
    return undefined;
  }

  private nothingFits(): UserError {
    const reasons = [
      ...this.candidates.map(({ trial, exceeds }) => `${trial.settings.policy} ${exceeds ?? ''}`),
      ...[...this.refused].map(([policy, reason]) => `${policy}: ${reason}`),
    ];
    return new UserError(
      'no-policy-fits',
      `no policy stays inside the limits: ${reasons.join('; ')}; allow more, or train fewer epochs or smaller images`,
    );
  }

  /** What training by every policy would take; the frozen part's run is shared, as the feature cache shares it. */
  private get sweepMs(): number {
    const { train, val } = this.options.dataset;
    const photos = train.length + val.length;
    const all = this.candidates.reduce((sum, { predictedMs }) => sum + predictedMs, 0);
    const features = this.candidates.map(({ costs }) => costs.featuresMs * photos);
    return all - features.reduce((sum, ms) => sum + ms, 0) + Math.max(...features);
  }

  /** Trains those inside the limits shortly; those that lag behind are left out of the longer trainings. */
  private async *race(inside: readonly Candidate[], deadline: number): AsyncGenerator<RecommendEvent, Race> {
    const { seed = 0, signal } = this.options;
    const [head] = this.candidates;
    if (!head) throw new Error('F1C0 was measured');
    const { batch, epochs: wholeEpochs } = this.settings;
    const wholeImages = this.options.dataset.train.length * wholeEpochs;
    const left = () => deadline - performance.now();

    // The photos, the deepest boundary first: from its features those of the others are computed.
    const chosen = this.choosePhotos(inside, left());
    const loaded = [...new Set([head, ...inside])];
    const readable = new Set(chosen.keys());
    for (const [index, { trial }] of loaded.toReversed().entries()) {
      this.checkStopped();
      const before = index * chosen.length;
      const progress: number[] = [];
      const loading = trial.load(chosen, join(this.root, 'cache'), signal, (done) => progress.push(done));
      const slots = new Set(await loading);
      for (const slot of readable) if (!slots.has(slot)) readable.delete(slot);
      yield {
        type: 'progress',
        phase: 'reading photos',
        done: before + chosen.length,
        total: loaded.length * chosen.length,
      };
    }
    const heldOutCount = this.heldOutOf(chosen.length);
    const slots = [...readable];
    const heldOut = slots.filter((slot) => slot >= chosen.length - heldOutCount);
    const pool = slots.filter((slot) => slot < chosen.length - heldOutCount);

    // Every training begins with a trained head, so that a few steps show what the layers behind it gain (Kumar et al. 2022).
    const heads: ReadonlyMap<string, Tensor>[] = [];
    const headOutcomes: boolean[][] = [];
    const { labels } = this;
    const headFor = async (index: number) => {
      if (heads[index]) return heads[index];
      const training = { photos: pool, epochs: wholeEpochs, seed: seed + index, from: new Map<string, Tensor>(), heldOut };
      headOutcomes[index] = await this.metered(head.spent, () => head.trial.train(training, labels));
      return (heads[index] = await head.trial.parameters());
    };

    const lengths: Length[] = [];
    const trainShortly = async (candidate: Candidate, rung: number, index: number): Promise<RecommendEvent> => {
      this.checkStopped();
      const { photos, epochs } = lengths[rung] ?? { photos: pool.length, epochs: wholeEpochs };
      const from = await headFor(index);
      const training = { photos: pool.slice(0, photos), epochs, seed: seed + index, from, heldOut };
      const correct =
        candidate === head
          ? (headOutcomes[index] ?? [])
          : await this.metered(candidate.spent, () => candidate.trial.train(training, labels));
      this.outcomes.push({ candidate: inside.indexOf(candidate), rung, seed: index, correct });
      const top1 = correct.filter(Boolean).length / correct.length;
      return { type: 'trained', policy: candidate.trial.settings.policy, photos, epochs, seed: seed + index, top1 };
    };

    let running = [...inside];
    // Halved until two are left, beside the head alone, whose training costs next to nothing.
    for (let rung = 0; ; rung++) {
      const costly = running.filter((each) => each !== head);
      const rungsLeft = Math.max(1, Math.ceil(Math.log2(costly.length)));
      const evaluationsMs = costly.reduce((sum, { costs }) => sum + costs.evaluationMs * heldOut.length, 0);
      const imageMs = costly.reduce((sum, { costs }) => sum + costs.stepMs, 0);
      const affordable = (left() / rungsLeft - evaluationsMs) / imageMs;
      const least = (lengths.at(-1) ? imagesOf(lengths[rung - 1]) * LEAST_GROWTH : LEAST_STEPS * batch);
      const most = pool.length * wholeEpochs;
      if (rung > 0 && (affordable < least || imagesOf(lengths[rung - 1]) >= most)) break;
      const images = Math.min(most, Math.max(least, affordable));
      lengths.push(lengthOf(images, { wholeImages, wholeEpochs, pool: pool.length }));
      for (const candidate of running) yield await trainShortly(candidate, rung, 0);
      if (costly.length <= 2) break;
      const ranked = costly.toSorted((a, b) => this.accuracyOf(inside.indexOf(b), rung) - this.accuracyOf(inside.indexOf(a), rung));
      const kept = new Set(ranked.slice(0, Math.ceil(costly.length / 2)));
      running = running.filter((each) => each === head || kept.has(each));
    }
    // What is left of the time goes into further seeds of the longest trainings.
    const rung = lengths.length - 1;
    const ran = inside.filter((_, index) => this.outcomes.some((each) => each.candidate === index && each.rung === rung));
    const seedMs = ran.reduce(
      (sum, { costs }) => sum + costs.stepMs * imagesOf(lengths[rung]) + costs.evaluationMs * heldOut.length,
      0,
    );
    for (let index = 1; index < MOST_SEEDS && (index === 1 || left() > seedMs); index++)
      for (const candidate of ran) yield await trainShortly(candidate, rung, index);
    return { lengths, pool: pool.length, heldOut: heldOut.length, wholeImages };
  }
}
