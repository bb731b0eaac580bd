import { join } from 'node:path';
import { classifierOf } from '../artifacts/prepare.js';
import { mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import type { Photo } from '../data/photo.js';
import type { Meter } from '../energy/meter.js';
import { UserError } from '../errors.js';
import { temporaryFolder } from '../temporary.js';
import type { Tensor } from '../onnx/tensor.js';
import { parsePolicy } from '../policy/policy.js';
import { Random } from '../random.js';
import { type Settings, settingsOf, type TrainOptions } from '../train/options.js';
import { processBytes } from '../train/compileWithin.js';
import { decide, type Evidence, type Outcome, type Standing } from './decision.js';
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
  /** Top-1 that the whole training is predicted to give on photos like those that were held out. */
  readonly accuracy: number | null;
  /** 95 % interval. */
  readonly interval: readonly [number, number] | null;
  /** Images on which its short training took steps, as a share of the whole training's. */
  readonly trainedShare: number | null;
  /** Short trainings of that length. */
  readonly seeds: number;
  /** The whole training, reading the photos included, as predicted from timed steps. */
  readonly predictedMs: number | null;
  readonly memoryBytes: number | null;
  readonly energyJ: number | null;
  /** By how much it is expected to be below the best, as a share of photos. */
  readonly regret: number | null;
  /** Share of resamples in which it is within the tolerance of the best. */
  readonly nearBest: number | null;
  /** Why it is chosen, or not. */
  readonly verdict: string;
}

export interface Recommendation {
  readonly policy: string;
  readonly reason: string;
  /** Share of resamples of the held-out photos in which it is within the tolerance of the best. */
  readonly confidence: number;
  readonly policies: readonly PolicyReport[];
  readonly epochs: number;
  readonly tolerance: number;
  /** How many of the data set's training photos short trainings took. */
  readonly trainedPhotos: number;
  /** How many others they were judged by. */
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
  /** A photo that cannot be read, once. */
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  | {
      readonly type: 'trained';
      readonly policy: string;
      readonly photos: number;
      readonly epochs: number;
      readonly seed: number;
      readonly top1: number;
    };

/** Held-out photos: with 1,200 the difference of two policies that disagree on 20 % of them is known to 1.3 points. */
const HELD_OUT = 2000;
/** Fewer are taken only where there are no more. */
const LEAST_HELD_OUT = 100;
const HELD_OUT_SHARE = 0.25;
/** Shares of what is left to spend: at most that much on reading photos to train on, and on those held out with their evaluations. */
const FEATURES_SHARE = 0.5;
const EVALUATION_SHARE = 0.25;
/** A training of fewer steps says nothing. */
const LEAST_STEPS = 4;
/** Seeds of trainings that are as long as they can be. */
const MOST_SEEDS = 3;
/** What the shorter training of the curve has of the images of the longer ones. */
const CURVE_SHARE = 0.25;
/** A tenth of a sweep with three seeds. */
const EFFORT = 0.3;
const TOLERANCE = 0.01;
/** Why a policy is no candidate, rather than a mistake in the settings. */
const REFUSALS: readonly string[] = ['too-little-memory', 'bad-policy', 'no-gradient-rule', 'no-gradient'];
/** Rows of the feature cache that a training keeps in memory. */
const ROWS_IN_MEMORY = 64 * 2 ** 20;

/**
 * Finds how many layers to train: measures what each of nested policies costs, trains those inside the limits shortly on a part of the
 * training photos, predicts from that what the whole trainings give, and chooses the cheapest that is expected to be about as accurate as
 * the best. The validation photos are not looked at.
 * @throws UserError `no-policy-fits`, `no-energy`, `stopped`, and what a training throws.
 */
export async function* recommend(options: RecommendOptions): AsyncGenerator<RecommendEvent, Recommendation> {
  if (options.energyLimitJ !== undefined && !options.meter)
    throw new UserError(
      'no-energy',
      'there is nothing to measure joules with, so none can be promised; state what a busy core draws (--watts) for an estimate, or leave out --energy',
    );
  const root = temporaryFolder();
  const search = new Search(options, root.path);
  try {
    return yield* search.run();
  } finally {
    await search.close();
    await root.remove();
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

class Search {
  private readonly began = performance.now();
  private readonly photos: readonly Photo[];
  private readonly candidates: Candidate[] = [];
  /** All that were compiled, those that are no candidates too: closed at the end, whatever that is. */
  private readonly trials: Trial[] = [];
  private readonly unread = new Set<string>();
  /** Policies that could not be compiled within the limits, and why. */
  private readonly refused = new Map<string, string>();
  private energyEstimated: boolean | null = null;

  constructor(
    private readonly options: RecommendOptions,
    private readonly root: string,
  ) {
    this.photos = interleaved(options.dataset.train, options.seed ?? 0);
  }

  async close(): Promise<void> {
    this.options.meter?.close();
    const closed = await Promise.allSettled(this.trials.map((trial) => trial.close()));
    for (const each of closed) if (each.status === 'rejected') throw each.reason;
  }

  async *run(): AsyncGenerator<RecommendEvent, Recommendation> {
    yield* this.measureAll();
    const inside = this.candidates.filter(({ exceeds }) => exceeds === undefined);
    const [first] = inside;
    if (!first) throw this.nothingFits();
    const race =
      inside.length === 1
        ? undefined
        : yield* this.trainShortly(inside, (this.options.effort ?? EFFORT) * this.sweepMs);
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
      yield* this.newlySkipped(candidate.trial);
      yield { type: 'measured', policy, predictedMs: candidate.predictedMs };
    }
    yield { type: 'progress', phase: 'measuring', done: policies.length, total: policies.length };
  }

  private *newlySkipped({ unread }: Trial): Generator<RecommendEvent> {
    for (const { path, reason } of unread) {
      if (this.unread.has(path)) continue;
      this.unread.add(path);
      yield { type: 'skipped', path, reason };
    }
  }

  private async measure(policy: string): Promise<Candidate | undefined> {
    const { options } = this;
    this.checkStopped();
    let trial: Trial;
    try {
      // Views of photos are no features that can be kept; what they are worth is left to the whole training.
      trial = await Trial.compile({ ...options, policy, out: this.root, augmentation: {}, views: 0 }, this.root);
      this.trials.push(trial);
    } catch (thrown) {
      if (!(thrown instanceof UserError) || !REFUSALS.includes(thrown.code)) throw thrown;
      this.refused.set(policy, thrown.message);
      return undefined;
    }
    const spent = { joules: 0, ms: 0 };
    const costs = await this.metered(spent, () => trial.measure(this.photos));
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

  /**
   * Trains all of those inside the limits shortly, and equally long: as long as `budgetMs` pays for. That is counted in the costs that were
   * measured and not by the clock, so that other work on the machine does not shorten it.
   */
  private async *trainShortly(inside: readonly Candidate[], budgetMs: number): AsyncGenerator<RecommendEvent, Race> {
    const { seed = 0, dataset } = this.options;
    const [head] = this.candidates;
    if (!head) throw new Error('F1C0 was measured');
    const measuredAt = performance.now();
    let leftMs = budgetMs - (measuredAt - this.began);
    const { chosen, heldOutFrom } = this.choosePhotos(inside, leftMs);
    const loaded = [...new Set([head, ...inside])];
    const readable = yield* this.load(loaded, chosen);
    leftMs -= Math.min(performance.now() - measuredAt, chosen.length * sumOf(loaded, ({ featuresMs }) => featuresMs));
    const heldOut = readable.filter((slot) => slot >= heldOutFrom);
    const pool = readable.filter((slot) => slot < heldOutFrom);
    const labels = chosen.map(({ label }) => label);
    const counts = { pool: pool.length, heldOut: heldOut.length };
    const lengths = this.lengthsOf(inside, counts, leftMs);
    const wholeImages = dataset.train.length * this.settings.epochs;

    const train = async (candidate: Candidate, { photos, epochs }: Length, index: number, from: Parameters) => {
      this.checkStopped();
      const training = { photos: pool.slice(0, photos), epochs, seed: seed + index, from, heldOut };
      const correct = await this.metered(candidate.spent, () => candidate.trial.train(training, labels)).catch(
        (thrown: unknown) => {
          // The others begin with the head.
          if (candidate === head || !(thrown instanceof UserError) || thrown.code !== 'diverged') throw thrown;
          candidate.exceeds = thrown.message;
          return heldOut.map(() => false);
        },
      );
      const policy = candidate.trial.settings.policy;
      const event = { type: 'trained', policy, photos, epochs, seed: seed + index, top1: shareOf(correct) } as const;
      return { event, correct };
    };
    const outcomes: Outcome[] = [];
    let curve: [Outcome, Outcome] | undefined;
    for (let index = 0; index < lengths.seeds; index++) {
      // A head alone costs next to nothing: it is trained to its end, and the others begin with it, so that a few steps show what the
      // layers behind it gain (Kumar et al. 2022).
      const trained = await train(head, { photos: pool.length, epochs: this.settings.epochs }, index, new Map());
      const from = await head.trial.parameters();
      for (const candidate of inside) {
        const { event, correct } = candidate === head ? trained : await train(candidate, lengths.long, index, from);
        const images = candidate === head ? wholeImages : imagesOf(lengths.long);
        const outcome = { candidate: inside.indexOf(candidate), images, correct };
        outcomes.push(outcome);
        yield event;
        if (candidate === head || index > 0 || curve || !lengths.short) continue;
        const short = await train(candidate, lengths.short, index, from);
        curve = [{ ...outcome, images: imagesOf(lengths.short), correct: short.correct }, outcome];
        yield short.event;
      }
    }
    const evidence = { outcomes, curve, wholeImages, costs: costsOf(inside) };
    return { ...counts, seeds: lengths.seeds, length: lengths.long, evidence };
  }

  /** Computes the features of `photos` for each of the candidates; gives the slots of those that could be read. */
  private async *load(
    candidates: readonly Candidate[],
    photos: readonly Photo[],
  ): AsyncGenerator<RecommendEvent, number[]> {
    const total = candidates.length * photos.length;
    let readable = [...photos.keys()];
    // The deepest boundary first: from its features those of the others are computed.
    for (const [index, { trial }] of candidates.toReversed().entries()) {
      this.checkStopped();
      yield { type: 'progress', phase: 'reading photos', done: index * photos.length, total };
      const filled = new Set(await trial.load(photos, join(this.root, 'cache')));
      readable = readable.filter((slot) => filled.has(slot));
      yield* this.newlySkipped(trial);
    }
    yield { type: 'progress', phase: 'reading photos', done: total, total };
    return readable;
  }

  /** Which photos to take: some to train on, and behind those some to be held out. */
  private choosePhotos(inside: readonly Candidate[], leftMs: number): { chosen: Photo[]; heldOutFrom: number } {
    const { photos } = this;
    // The others' features are computed from the deepest ones.
    const featuresMs = Math.max(...this.candidates.map(({ costs }) => costs.featuresMs));
    const heldOutMs = featuresMs + sumOf(inside, ({ evaluationMs }) => evaluationMs);
    const heldOut = Math.min(
      HELD_OUT,
      Math.floor(photos.length * HELD_OUT_SHARE),
      Math.max(LEAST_HELD_OUT, Math.floor((EVALUATION_SHARE * leftMs) / heldOutMs)),
    );
    // Each is to be trained on once at least.
    const stepMs = sumOf(this.costly(inside), (costs) => costs.stepMs);
    const affordable = Math.min(
      (FEATURES_SHARE * leftMs) / featuresMs,
      (leftMs - heldOut * heldOutMs) / (featuresMs + stepMs),
    );
    const least = LEAST_STEPS * this.settings.batch;
    const pool = Math.min(photos.length - heldOut, Math.max(least, Math.floor(affordable)));
    return { chosen: [...photos.slice(0, pool), ...photos.slice(photos.length - heldOut)], heldOutFrom: pool };
  }

  /** How long all can be trained in `leftMs`, with how many seeds; and the shorter training of one, unless it would be too short. */
  private lengthsOf(
    inside: readonly Candidate[],
    { pool, heldOut }: { pool: number; heldOut: number },
    leftMs: number,
  ): { long: Length; short: Length | undefined; seeds: number } {
    const { batch, epochs } = this.settings;
    const costly = this.costly(inside);
    const [head] = this.candidates;
    const [first] = costly;
    const most = pool * epochs;
    const least = Math.min(LEAST_STEPS * batch, most);
    const headMs = (head?.costs.stepMs ?? 0) * most;
    const fixedMs = headMs + heldOut * sumOf(inside, ({ evaluationMs }) => evaluationMs);
    const imageMs = sumOf(costly, ({ stepMs }) => stepMs);
    const curveMs = CURVE_SHARE * (first?.costs.stepMs ?? 0);
    const images = Math.min(most, Math.max(least, (leftMs - fixedMs) / (imageMs + curveMs)));
    const seeds = images < most ? 1 : Math.max(1, Math.floor(leftMs / (fixedMs + imageMs * most)));
    // Photos that were not seen before say more than photos seen again.
    const lengthOf = (count: number) => {
      const passes = Math.max(1, Math.round(count / pool));
      return { photos: Math.min(pool, Math.ceil(count / passes)), epochs: passes };
    };
    const short = CURVE_SHARE * images >= least ? lengthOf(CURVE_SHARE * images) : undefined;
    return { long: lengthOf(images), short, seeds: Math.min(MOST_SEEDS, seeds) };
  }

  /** All but the head alone. */
  private costly(inside: readonly Candidate[]): Candidate[] {
    return inside.filter((each) => each !== this.candidates[0]);
  }

  private conclude(inside: readonly Candidate[], race: Race | undefined): Recommendation {
    const { tolerance = TOLERANCE, seed = 0 } = this.options;
    const decision = race && decide(race.evidence, { tolerance, seed });
    const chosen = inside[decision?.chosen ?? 0];
    if (!chosen) throw new Error('a policy is chosen');
    if (chosen.exceeds !== undefined) throw this.nothingFits();
    const standingOf = (candidate: Candidate) => decision?.standings[inside.indexOf(candidate)];
    const reports = this.candidates.map((candidate): PolicyReport => {
      const { trial, predictedMs, memoryBytes, exceeds } = candidate;
      const standing = standingOf(candidate);
      const trainedImages =
        candidate === this.candidates[0] ? (race?.pool ?? 0) * this.settings.epochs : imagesOf(race?.length);
      return {
        policy: trial.settings.policy,
        trainableParameters: trial.manifest.cost.trainableParameters,
        accuracy: standing?.accuracy ?? null,
        interval: standing?.interval ?? null,
        trainedShare: race && standing ? trainedImages / race.evidence.wholeImages : null,
        seeds: standing ? (race?.seeds ?? 0) : 0,
        predictedMs,
        memoryBytes,
        energyJ: this.energyOf(candidate),
        regret: standing?.regret ?? null,
        nearBest: standing?.nearBest ?? null,
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
      confidence: standingOf(chosen)?.nearBest ?? 1,
      policies: [...reports, ...refused],
      epochs: this.settings.epochs,
      tolerance,
      trainedPhotos: race?.pool ?? 0,
      heldOutPhotos: race?.heldOut ?? 0,
      energyEstimated: this.energyEstimated,
      elapsedMs: performance.now() - this.began,
      sweepMs,
      notes: this.notesOn(race),
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
    const { tolerance = TOLERANCE } = this.options;
    const { regret = null } = reports.find(({ policy }) => policy === name) ?? {};
    const cheaper = reports
      .filter((each) => each.accuracy !== null && (each.predictedMs ?? 0) < chosen.predictedMs && each.policy !== name)
      .toSorted((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0))[0];
    const against = cheaper ? `; the best of the cheaper ones, ${cheaper.policy}, is ${cheaper.verdict}` : '';
    const rule =
      regret === null || regret > tolerance
        ? `is expected to lose least${limits}, though more than ${points(tolerance)}`
        : `is the cheapest${limits} that is expected to lose no more than ${points(tolerance)} against the most accurate`;
    if (!best || best === chosen) return `${name} ${rule}, and looks the most accurate itself${against}`;
    const verdict = reports.find(({ policy }) => policy === best.trial.settings.policy)?.verdict ?? '';
    return `${name} ${rule}; ${best.trial.settings.policy} ${verdict}${against}`;
  }

  private notesOn(race: Race | undefined): string[] {
    const { augmentation, learningRate } = this.settings;
    const notes: string[] = [];
    const trainedShare = race ? imagesOf(race.length) / race.evidence.wholeImages : 1;
    if (race && trainedShare < 0.5)
      notes.push(
        `extrapolated: all but F1C0 were trained on ${percent(trainedShare)} of the images of the whole training${race.evidence.curve ? ', and their errors are taken to go on falling alike' : ''}`,
      );
    if (race?.seeds === 1)
      notes.push(
        'one seed: what another would change is only in the intervals as far as policies are taken to learn unlike',
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

/** What is told of a policy that could not be compiled within the limits. */
const UNKNOWN = {
  trainableParameters: null,
  accuracy: null,
  interval: null,
  trainedShare: null,
  seeds: 0,
  predictedMs: null,
  memoryBytes: null,
  energyJ: null,
  regret: null,
  nearBest: null,
} as const;

/** How long a short training is. */
interface Length {
  readonly photos: number;
  readonly epochs: number;
}

/** What the short trainings were, and what came of them. */
interface Race {
  readonly evidence: Evidence;
  /** How long the longest training is. */
  readonly length: Length;
  readonly seeds: number;
  readonly pool: number;
  readonly heldOut: number;
}

type Parameters = ReadonlyMap<string, Tensor>;

const imagesOf = (length: Length | undefined) => (length ? length.photos * length.epochs : 0);
const costsOf = (candidates: readonly Candidate[]) => candidates.map(({ predictedMs }) => predictedMs);
const sumOf = (candidates: readonly Candidate[], costOf: (costs: UnitCosts) => number) =>
  candidates.reduce((sum, { costs }) => sum + costOf(costs), 0);
const shareOf = (correct: readonly boolean[]) => correct.filter(Boolean).length / correct.length;

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
