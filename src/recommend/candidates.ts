import { mixesPhotos, variesPhotos } from '../data/augment/augmentation.js';
import type { Photo } from '../data/photo.js';
import { UserError } from '../errors.js';
import { processBytes } from '../train/compileWithin.js';
import type { Settings } from '../train/trainOptions.js';
import type { Metering, Spent } from './metering.js';
import type { RecommendEvent, RecommendOptions } from './recommendation.js';
import { Trial, type UnitCosts } from './trial.js';
import type { UnreadPhotos } from './unreadPhotos.js';
import { joules, seconds } from './wordsForNumbers.js';

/** Why a policy is no candidate, rather than a mistake in the settings. */
const REFUSALS: readonly string[] = ['too-little-memory', 'bad-policy', 'no-gradient-rule', 'no-gradient'];
/** Rows of the feature cache that a training keeps in memory. */
const ROWS_IN_MEMORY = 64 * 2 ** 20;

/** A policy that was measured. */
export interface Candidate {
  readonly trial: Trial;
  readonly costs: UnitCosts;
  readonly predictedMs: number;
  readonly memoryBytes: number;
  /** What its work has cost so far. */
  readonly spent: Spent;
  /** Why it is not to be chosen, however accurate it is. */
  exceeds: string | undefined;
}

/** What a search goes by. */
export interface SearchPlan {
  readonly options: RecommendOptions;
  /** Settings of the whole training, but for its policy. */
  readonly settings: Settings;
  /** A folder for what is compiled, and for features. */
  readonly root: string;
  /** The training photos, in an order of which every part has the classes in their proportions. */
  readonly photos: readonly Photo[];
  readonly unread: UnreadPhotos;
}

/** @throws UserError `stopped`. */
export function checkStopped({ signal }: RecommendOptions): void {
  if (signal?.aborted) throw new UserError('stopped', 'stopped before a policy was chosen');
}

/** The policies that are tried, as far as they were measured: what each costs, and by which limit it is out. */
export class Candidates {
  /** The first is F1C0. */
  readonly all: Candidate[] = [];
  /** Policies that could not be compiled within the limits, and why. */
  readonly refused = new Map<string, string>();

  constructor(
    private readonly plan: SearchPlan,
    private readonly metering: Metering,
  ) {}

  /** Compiles policies and times their parts. */
  async *measure(policies: readonly string[]): AsyncGenerator<RecommendEvent> {
    const { unread } = this.plan;
    for (const [index, policy] of policies.entries()) {
      yield { type: 'progress', phase: 'measuring', done: index, total: policies.length };
      const candidate = await this.measureOne(policy);
      if (!candidate) continue;
      this.all.push(candidate);
      yield* unread.take();
      yield { type: 'measured', policy, predictedMs: candidate.predictedMs };
    }
    yield { type: 'progress', phase: 'measuring', done: policies.length, total: policies.length };
  }

  /** The candidates that no limit excludes. */
  get inside(): Candidate[] {
    return this.all.filter(({ exceeds }) => exceeds === undefined);
  }

  /** What training by every policy would take; the frozen part's run is shared, as the feature cache shares it. */
  get sweepMs(): number {
    const { train, val } = this.plan.options.dataset;
    const photos = train.length + val.length;
    const all = this.all.reduce((sum, { predictedMs }) => sum + predictedMs, 0);
    const features = this.all.map(({ costs }) => costs.featuresMs * photos);
    return all - features.reduce((sum, ms) => sum + ms, 0) + Math.max(...features);
  }

  /** Joules of a candidate's whole training; null where nothing measures. */
  energyOf({ spent, predictedMs }: Pick<Candidate, 'spent' | 'predictedMs'>): number | null {
    return this.metering.energyOf(spent, predictedMs);
  }

  /** What to throw where no policy is inside the limits. */
  nothingFits(): UserError {
    const reasons = [
      ...this.all.map(({ trial, exceeds }) => `${trial.settings.policy} ${exceeds ?? ''}`),
      ...[...this.refused].map(([policy, reason]) => `${policy}: ${reason}`),
    ];
    return new UserError(
      'no-policy-fits',
      `no policy stays inside the limits: ${reasons.join('; ')}; allow more, or train fewer epochs or smaller images`,
    );
  }

  private async measureOne(policy: string): Promise<Candidate | undefined> {
    const { options, root, photos } = this.plan;
    checkStopped(options);
    let trial: Trial;
    try {
      // Views of photos are no features that can be kept; what they are worth is left to the whole training.
      trial = await Trial.compile({ ...options, policy, out: root, augmentation: {}, views: 0 }, this.plan);
    } catch (thrown) {
      if (!(thrown instanceof UserError) || !REFUSALS.includes(thrown.code)) throw thrown;
      this.refused.set(policy, thrown.message);
      return undefined;
    }
    const spent = { joules: 0, ms: 0 };
    const costs = await this.metering.charge(spent, () => trial.measure(photos));
    const predictedMs = this.predict(costs);
    const candidate = { trial, costs, predictedMs, memoryBytes: this.memoryOf(trial), spent };
    return { ...candidate, exceeds: this.excessOf(candidate) };
  }

  /** Milliseconds of the whole training. */
  private predict({ setUpMs, featuresMs, stepMs, evaluationMs }: UnitCosts): number {
    const { train, val } = this.plan.options.dataset;
    const { epochs, augmentation, views } = this.plan.settings;
    const varies = variesPhotos(augmentation) || mixesPhotos(augmentation);
    const viewsRead = !varies ? 1 : views > 0 ? views : epochs;
    const features = featuresMs * (train.length * viewsRead + val.length);
    return setUpMs + features + epochs * (train.length * stepMs + val.length * evaluationMs);
  }

  private memoryOf({ manifest }: Trial): number {
    const { train, val } = this.plan.options.dataset;
    const rows = (train.length + val.length) * manifest.cost.boundaryBytes;
    return processBytes(manifest) + Math.min(rows, ROWS_IN_MEMORY);
  }

  /** Says which limit excludes a policy; undefined where none does. */
  private excessOf(candidate: Omit<Candidate, 'exceeds'>): string | undefined {
    const { timeLimitMs = Infinity, energyLimitJ = Infinity } = this.plan.options;
    const energyJ = this.energyOf(candidate);
    if (candidate.predictedMs > timeLimitMs)
      return `would take about ${seconds(candidate.predictedMs)}, and ${seconds(timeLimitMs)} are allowed`;
    if (energyJ !== null && energyJ > energyLimitJ)
      return `would take about ${joules(energyJ)}, and ${joules(energyLimitJ)} are allowed`;
    return undefined;
  }
}
