import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { classifierOf } from '../artifacts/prepare.js';
import { mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import type { Photo } from '../data/dataset.js';
import type { Meter } from '../energy/meter.js';
import { UserError } from '../errors.js';
import type { Tensor } from '../onnx/tensor.js';
import { parsePolicy } from '../policy/policy.js';
import { Random } from '../random.js';
import { type Settings, settingsOf, type TrainOptions } from '../train/options.js';
import { processBytes } from '../train/trainer.js';
import { decide, type Outcome, type Standing } from './decision.js';
import { Trial, type UnitCosts } from './trial.js';

/** What is measured, and what is to be found out. */
export interface RecommendOptions extends Omit<
  TrainOptions,
  'policy' | 'out' | 'cache' | 'resume' | 'overwrite' | 'verify' | 'tensorboard' | 'metric'
> {
  /**
   * What to choose from, each training what the one before it trains and more; default F1C0 to F1C3, as far as the model has
   * convolutions, and full. F1C0 is always among them.
   */
  readonly policies?: readonly string[];
  /** The most joules that the training may take. `timeLimitMs` and `memoryBytes` bound the rest. */
  readonly energyLimitJ?: number;
  /** Measures the short trainings; required where joules are bounded. */
  readonly meter?: Meter;
  /** Accuracy, as a share of photos, that is not worth the cost of more layers; default 0.01. */
  readonly tolerance?: number;
  /** What choosing may take, as a share of what training once by every policy would; default 0.3, a tenth of a sweep with three seeds. */
  readonly effort?: number;
}

/** What there is to know of a policy, for a training with the settings that were given. */
export interface PolicyReport {
  readonly policy: string;
  readonly trainableParameters: number | null;
  /** Top-1 on photos that were held out, after short trainings: it tells policies apart, and is lower than what the whole training gives. */
  readonly accuracy: number | null;
  /** 95 % interval. */
  readonly interval: readonly [number, number] | null;
  /** Images on which its longest short training took steps, as a share of the whole training's. */
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
      readonly phase: 'measuring' | 'reading photos';
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
    };

/** Held-out photos: with 1,200 the difference of two policies that disagree on 12 % of them is known to a point. */
const HELD_OUT = 1200;
/** Fewer are taken only where there are no more. */
const LEAST_HELD_OUT = 100;
const HELD_OUT_SHARE = 0.25;
/** Shares of what is left to spend: on features of photos to train on, and on those held out with their evaluations. */
const FEATURES_SHARE = 0.2;
const EVALUATION_SHARE = 0.25;
/** A training of fewer steps says nothing. */
const LEAST_STEPS = 4;
/** Seeds of the finalists. */
const MOST_SEEDS = 3;
/** A longer rung that is not this much longer is not worth another training. */
const LEAST_GROWTH = 1.5;
/** A tenth of a sweep with three seeds. */
const EFFORT = 0.3;
const TOLERANCE = 0.01;
/** Why a policy is no candidate, rather than a mistake in the settings. */
const REFUSALS: readonly string[] = ['too-little-memory', 'bad-policy', 'no-gradient-rule', 'no-gradient'];
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
    return this.conclude(inside, race);
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
    const candidate = { trial, costs, predictedMs, memoryBytes: this.memoryOf(trial), spent };
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

  /** Joules of the whole training, at the power of what was run of it; null where nothing measures. */
  private energyOf({ spent, predictedMs }: Pick<Candidate, 'spent' | 'predictedMs'>): number | null {
    return this.options.meter && spent.ms > 0 ? (spent.joules / spent.ms) * predictedMs : null;
  }

  /** By which limit a policy is out, if by any. */
  private excessOf(candidate: Omit<Candidate, 'exceeds'>): string | undefined {
    const { timeLimitMs = Infinity, energyLimitJ = Infinity } = this.options;
    const energyJ = this.energyOf(candidate);
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

    const { chosen, heldOutFrom } = this.choosePhotos(inside, left());
    const loaded = [...new Set([head, ...inside])];
    let readable = [...chosen.keys()];
    // The deepest boundary first: from its features those of the others are computed.
    for (const [index, { trial }] of loaded.toReversed().entries()) {
      this.checkStopped();
      yield {
        type: 'progress',
        phase: 'reading photos',
        done: index * chosen.length,
        total: loaded.length * chosen.length,
      };
      const filled = new Set(await trial.load(chosen, join(this.root, 'cache'), signal));
      readable = readable.filter((slot) => filled.has(slot));
    }
    const total = loaded.length * chosen.length;
    yield { type: 'progress', phase: 'reading photos', done: total, total };
    const heldOut = readable.filter((slot) => slot >= heldOutFrom);
    const pool = readable.filter((slot) => slot < heldOutFrom);

    // Every training begins with a trained head, so that a few steps show what the layers behind it gain (Kumar et al. 2022).
    const heads: ReadonlyMap<string, Tensor>[] = [];
    const headOutcomes: boolean[][] = [];
    const labels = chosen.map(({ label }) => label);
    const headFor = async (index: number) => {
      if (heads[index]) return heads[index];
      const training = {
        photos: pool,
        epochs: wholeEpochs,
        seed: seed + index,
        from: new Map<string, Tensor>(),
        heldOut,
      };
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
      // The last rung is to have a second seed.
      const trainings = costly.length <= 2 ? 2 : 1;
      const affordable = (left() / rungsLeft / trainings - evaluationsMs) / imageMs;
      const least = lengths.at(-1) ? imagesOf(lengths[rung - 1]) * LEAST_GROWTH : LEAST_STEPS * batch;
      const most = pool.length * wholeEpochs;
      if (rung > 0 && (affordable < least || imagesOf(lengths[rung - 1]) >= most)) break;
      const images = Math.min(most, Math.max(least, affordable));
      lengths.push(lengthOf(images, { wholeImages, wholeEpochs, pool: pool.length }));
      for (const candidate of running) yield await trainShortly(candidate, rung, 0);
      if (costly.length <= 2) break;
      const ranked = costly.toSorted(
        (a, b) => this.accuracyOf(inside.indexOf(b), rung) - this.accuracyOf(inside.indexOf(a), rung),
      );
      const kept = new Set(ranked.slice(0, Math.ceil(costly.length / 2)));
      running = running.filter((each) => each === head || kept.has(each));
    }
    // What is left of the time goes into further seeds of the longest trainings.
    const rung = lengths.length - 1;
    const ran = inside.filter((_, index) =>
      this.outcomes.some((each) => each.candidate === index && each.rung === rung),
    );
    const seedMs = ran.reduce(
      (sum, { costs }) => sum + costs.stepMs * imagesOf(lengths[rung]) + costs.evaluationMs * heldOut.length,
      0,
    );
    for (let index = 1; index < MOST_SEEDS && (index === 1 || left() > seedMs); index++)
      for (const candidate of ran) yield await trainShortly(candidate, rung, index);
    return { lengths, pool: pool.length, heldOut: heldOut.length, wholeImages };
  }

  /** Which photos to take: some to train on, and behind those some to be held out. */
  private choosePhotos(inside: readonly Candidate[], leftMs: number): { chosen: Photo[]; heldOutFrom: number } {
    const { photos } = this;
    const { batch } = this.settings;
    const featuresMs = Math.max(...this.candidates.map(({ costs }) => costs.featuresMs));
    // Each is evaluated twice or so.
    const heldOutMs = featuresMs + 2 * inside.reduce((sum, { costs }) => sum + costs.evaluationMs, 0);
    const mostHeldOut = Math.min(HELD_OUT, Math.floor(photos.length * HELD_OUT_SHARE));
    const heldOut = Math.min(
      mostHeldOut,
      Math.max(LEAST_HELD_OUT, Math.floor((EVALUATION_SHARE * leftMs) / heldOutMs)),
    );
    const most = Math.min(photos.length - heldOut, this.mostPhotos(inside, leftMs));
    const pool = Math.min(most, Math.max(LEAST_STEPS * batch, Math.floor((FEATURES_SHARE * leftMs) / featuresMs)));
    return { chosen: [...photos.slice(0, pool), ...photos.slice(photos.length - heldOut)], heldOutFrom: pool };
  }

  private conclude(inside: readonly Candidate[], race: Race | undefined): Recommendation {
    const { tolerance = TOLERANCE, seed = 0 } = this.options;
    const decision =
      race &&
      decide(
        this.outcomes,
        inside.map(({ predictedMs }) => predictedMs),
        { tolerance, seed },
      );
    const chosen = inside[decision?.chosen ?? 0];
    if (!chosen) throw new Error('a policy is chosen');
    const standingOf = (candidate: Candidate) => decision?.standings[inside.indexOf(candidate)];
    const reports = this.candidates.map((candidate): PolicyReport => {
      const { trial, predictedMs, memoryBytes, exceeds } = candidate;
      const standing = standingOf(candidate);
      const those = this.outcomes.filter((each) => inside[each.candidate] === candidate);
      const rung = Math.max(...those.map((each) => each.rung));
      const trainedImages =
        candidate === this.candidates[0] ? (race?.pool ?? 0) * this.settings.epochs : imagesOf(race?.lengths[rung]);
      return {
        policy: trial.settings.policy,
        trainableParameters: trial.manifest.cost.trainableParameters,
        accuracy: standing?.accuracy ?? null,
        interval: standing?.interval ?? null,
        trainedShare: race && those.length > 0 ? trainedImages / race.wholeImages : null,
        seeds: those.filter((each) => each.rung === rung).length,
        predictedMs,
        memoryBytes,
        energyJ: this.energyOf(candidate),
        chosenShare: standing?.chosenShare ?? null,
        verdict: exceeds ?? this.verdictOf(candidate, chosen, standing, standingOf(chosen)),
      };
    });
    const refused = [...this.refused].map(([policy, reason]): PolicyReport => ({
      ...UNKNOWN,
      policy,
      verdict: reason,
    }));
    const { sweepMs } = this;
    return {
      policy: chosen.trial.settings.policy,
      reason: this.reasonFor(inside, reports, chosen, decision?.best),
      confidence: standingOf(chosen)?.chosenShare ?? 1,
      policies: [...reports, ...refused],
      epochs: this.settings.epochs,
      tolerance,
      trainedPhotos: race?.pool ?? 0,
      heldOutPhotos: race?.heldOut ?? 0,
      energyEstimated: this.energyEstimated,
      elapsedMs: performance.now() - this.began,
      sweepMs,
      notes: this.notesOn(reports, race),
    };
  }

  private verdictOf(candidate: Candidate, chosen: Candidate, own?: Standing, best?: Standing): string {
    if (candidate === chosen) return 'chosen';
    if (!own || !best) return 'not tried';
    const gain = own.accuracy - best.accuracy;
    const ratio = candidate.predictedMs / chosen.predictedMs;
    if (ratio < 1) return `${points(gain)} less accurate`;
    if (gain > 0) return `gains ${points(gain)} for ${times(ratio)} the time`;
    return `no more accurate, for ${times(ratio)} the time`;
  }

  private reasonFor(
    inside: readonly Candidate[],
    reports: readonly PolicyReport[],
    chosen: Candidate,
    bestIndex: number | undefined,
  ): string {
    const limits = reports.length > inside.length || this.refused.size > 0 ? ' of those inside the limits' : '';
    const name = chosen.trial.settings.policy;
    if (bestIndex === undefined) return `${name} is the only policy inside the limits`;
    const best = inside[bestIndex];
    const worth = points(this.options.tolerance ?? TOLERANCE);
    const cheaper = reports
      .filter((each) => each.accuracy !== null && (each.predictedMs ?? 0) < chosen.predictedMs && each.policy !== name)
      .toSorted((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0))[0];
    const against = cheaper ? `; the best of the cheaper ones, ${cheaper.policy}, is ${cheaper.verdict}` : '';
    if (!best || best === chosen) return `${name} is the most accurate${limits}${against}`;
    const verdict = reports.find(({ policy }) => policy === best.trial.settings.policy)?.verdict ?? '';
    return `${name} is most often the cheapest${limits} within ${worth} of the most accurate; ${best.trial.settings.policy} ${verdict}${against}`;
  }

  private notesOn(reports: readonly PolicyReport[], race: Race | undefined): string[] {
    const { augmentation, learningRate } = this.settings;
    const notes: string[] = [];
    const least = reports.filter(({ trainedShare }) => trainedShare !== null && trainedShare < 0.5);
    if (race && least.length > 0)
      notes.push(
        `extrapolated: of the images of the whole training, ${least.map(({ policy, trainedShare }) => `${policy} was trained on ${percent(trainedShare ?? 0)}`).join(', ')}; what one was ahead or behind then is taken to stay`,
      );
    if (variesPhotos(augmentation) || mixesPhotos(augmentation))
      notes.push('the short trainings leave augmentation out; the predicted times have it in');
    if (learningRate === 'auto')
      notes.push(
        'the short trainings take the default learning rates, and the range test is left to the whole training',
      );
    if (this.energyEstimated === true) notes.push('joules are estimated from CPU seconds, not measured');
    return notes;
  }

  /** The most photos that any rung may come to take: the last one, in half of the time, with two seeds of the two that are trained fastest. */
  private mostPhotos(inside: readonly Candidate[], leftMs: number): number {
    const { train } = this.options.dataset;
    const { epochs, batch } = this.settings;
    const stepMs = inside
      .filter((each) => each !== this.candidates[0])
      .map(({ costs }) => costs.stepMs)
      .sort((a, b) => a - b);
    const affordable = leftMs / 4 / ((stepMs[0] ?? 0) + (stepMs[1] ?? 0));
    const images = Math.max(LEAST_STEPS * batch, affordable);
    const wholeImages = train.length * epochs;
    return images >= wholeImages
      ? train.length
      : lengthOf(images, { wholeImages, wholeEpochs: epochs, pool: train.length }).photos;
  }

  /** Mean over the seeds of a rung. */
  private accuracyOf(candidate: number, rung: number): number {
    const those = this.outcomes.filter((each) => each.candidate === candidate && each.rung === rung);
    const right = those.map(({ correct }) => correct.filter(Boolean).length / correct.length);
    return right.reduce((sum, share) => sum + share, 0) / right.length;
  }

  /** Does some of a candidate's work, and charges it with its time and energy. */
  private async metered<Result>(spent: Candidate['spent'], work: () => Promise<Result>): Promise<Result> {
    const { meter } = this.options;
    await meter?.start();
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    const result = await work();
    const { user, system } = process.cpuUsage(cpu);
    spent.ms += performance.now() - began;
    const reading = await meter?.stop((user + system) / 1e6);
    if (reading) {
      spent.joules += reading.grossJ;
      this.energyEstimated = reading.estimated;
    }
    return result;
  }

  private checkStopped(): void {
    if (this.options.signal?.aborted) throw new UserError('stopped', 'stopped before a policy was chosen');
  }
}

/** Of a policy that could not be compiled within the limits. */
const UNKNOWN = {
  trainableParameters: null,
  accuracy: null,
  interval: null,
  trainedShare: null,
  seeds: 0,
  predictedMs: null,
  memoryBytes: null,
  energyJ: null,
  chosenShare: null,
} as const;

/** What a race was run with. */
interface Race {
  readonly lengths: readonly Length[];
  readonly pool: number;
  readonly heldOut: number;
  readonly wholeImages: number;
}

const imagesOf = (length: Length | undefined) => (length ? length.photos * length.epochs : 0);

/** A training of about so many images that is as much shorter than the whole one in photos as in epochs, as far as there are photos. */
function lengthOf(
  images: number,
  { wholeImages, wholeEpochs, pool }: { wholeImages: number; wholeEpochs: number; pool: number },
): Length {
  const even = Math.round(wholeEpochs * Math.sqrt(images / wholeImages));
  const epochs = Math.min(wholeEpochs, Math.max(1, even, Math.ceil(images / pool)));
  return { photos: Math.min(pool, Math.ceil(images / epochs)), epochs };
}

/** The policies to try; F1C0 is the first. */
function policiesOf(options: RecommendOptions): string[] {
  // One that the model does not have is told of in its row; one that is no policy is a mistake.
  for (const policy of options.policies ?? []) parsePolicy(policy);
  const named = options.policies ?? nestedPolicies(options);
  return [...new Set(['F1C0', ...named])];
}

/** The photos in an order of which every beginning, and every end, has the classes in their proportions. */
export function interleaved(photos: readonly Photo[], seed: number): Photo[] {
  const random = new Random(seed).fork('recommend');
  const byClass = new Map<number, Photo[]>();
  for (const photo of photos) {
    const group = byClass.get(photo.label);
    if (group) group.push(photo);
    else byClass.set(photo.label, [photo]);
  }
  return [...byClass.values()]
    .flatMap((group) => {
      const offset = random.next();
      return random.shuffle(group).map((photo, index) => ({ photo, place: (index + offset) / group.length }));
    })
    .sort((a, b) => a.place - b.place)
    .map(({ photo }) => photo);
}

/** 0.0123 is 1.2 points. */
const points = (share: number) => `${(100 * Math.abs(share)).toFixed(1)} points`;
const times = (ratio: number) => `${ratio.toPrecision(2)} times`;
const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;
const joules = (value: number) => `${value.toPrecision(3)} J`;

function seconds(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toPrecision(2)} s` : `${(ms / 60_000).toPrecision(2)} min`;
}
