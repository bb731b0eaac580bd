import { Random } from '../random.js';
import type { LabelRanking } from '../train/mapInterval.js';

/** One short training of one candidate, judged by the same held-out photos as all others. */
export interface Outcome {
  /** Index of the candidate. */
  readonly candidate: number;
  /** Images on which it took steps. */
  readonly images: number;
  /** Whether each held-out photo was classified rightly. */
  readonly correct?: readonly boolean[];
  /** Where photos have any number of labels, in its place: how the labels of the held-out photos were ranked. */
  readonly ranking?: LabelRanking;
}

/** How well held-out photos were judged: top-1, or the mean average precision of labels. */
export const accuracyOf = ({ correct = [], ranking }: Pick<Outcome, 'correct' | 'ranking'>): number =>
  ranking ? ranking.map() : correct.filter(Boolean).length / correct.length;

/** What is known of the candidates. */
export interface Evidence {
  /** The longest trainings of each, one for each seed. */
  readonly outcomes: readonly Outcome[];
  /** A shorter and a longer training of one candidate, which tell how fast errors fall. */
  readonly curve: readonly [Outcome, Outcome] | undefined;
  /** Images of each candidate's whole training. */
  readonly wholeImages: number;
  /** What each candidate's whole training costs, in whatever unit. */
  readonly costs: readonly number[];
}

/** What the evidence says of a candidate. */
export interface Standing {
  /** After the whole training, 0 to 1; see {@link predictions}. */
  readonly accuracy: number;
  /** 95 % of the resamples lie between these. */
  readonly interval: readonly [number, number];
  /** By how much it is below the best, whichever that is; mean over the resamples. */
  readonly regret: number;
  /** Share of resamples in which it is within the tolerance of the best. */
  readonly nearBest: number;
}

export interface Decision {
  /** Index of the chosen candidate. */
  readonly chosen: number;
  /** Index of the one that looks most accurate. */
  readonly best: number;
  readonly standings: readonly Standing[];
}

/**
 * By how much the power by which a policy's errors fall differs from the common one, as a share of it (standard deviation). The small CNN on
 * CIFAR-10, from 15 % of the images to all of them: -0.120, -0.102, -0.119 and -0.135 for F1C1, F1C2, F1C3 and full.
 */
const UNLIKE = 0.1;

/**
 * Chooses the knee by expected regret: held-out photos, the same for all, are drawn again many times (Efron 1979), and the cheapest
 * candidate is taken that is, in the mean over the draws, no more than `tolerance` below the best of each draw. A candidate of which little
 * is known may be much below the best, so where the evidence is thin the more accurate one is taken, and where all are alike the cheapest.
 */
export function decide(
  evidence: Evidence,
  { tolerance, seed, resamples = 1000 }: { tolerance: number; seed: number; resamples?: number },
): Decision {
  const { costs, outcomes } = evidence;
  const [first] = outcomes;
  const photos = first?.ranking?.photos ?? first?.correct?.length ?? 0;
  const accuracies = predictions(evidence, new Uint16Array(photos).fill(1));
  const random = new Random(seed);
  const drawn: number[][] = costs.map(() => []);
  const regrets = costs.map(() => 0);
  const near = costs.map(() => 0);
  for (let resample = 0; resample < resamples; resample++) {
    const counts = new Uint16Array(photos);
    for (let draw = 0; draw < photos; draw++) {
      const photo = random.integer(photos);
      counts[photo] = (counts[photo] ?? 0) + 1;
    }
    const values = predictions(
      evidence,
      counts,
      costs.map(() => 1 + UNLIKE * random.normal()),
    );
    const best = Math.max(...values);
    values.forEach((value, candidate) => {
      drawn[candidate]?.push(value);
      regrets[candidate] = (regrets[candidate] ?? 0) + (best - value) / resamples;
      if (best - value <= tolerance + LEAST) near[candidate] = (near[candidate] ?? 0) + 1;
    });
  }
  return {
    chosen: cheapestWithin(regrets, costs, tolerance),
    best: accuracies.indexOf(Math.max(...accuracies)),
    standings: accuracies.map((accuracy, candidate) => ({
      accuracy,
      interval: middleOf(drawn[candidate] ?? [], 0.95),
      regret: regrets[candidate] ?? NaN,
      nearBest: (near[candidate] ?? NaN) / resamples,
    })),
  };
}

/** Shares of photos: what differs by less than this is equal. */
const LEAST = 1e-9;

/** The cheapest of the candidates that lose no more than `tolerance`, or than the one that loses least; of equally cheap ones that. */
export function cheapestWithin(regrets: readonly number[], costs: readonly number[], tolerance: number): number {
  const most = Math.max(tolerance, Math.min(...regrets)) + LEAST;
  let chosen = -1;
  regrets.forEach((regret, index) => {
    if (regret > most) return;
    const [cost, cheapest] = [costs[index] ?? NaN, costs[chosen] ?? Infinity];
    if (cost < cheapest || (cost === cheapest && regret < (regrets[chosen] ?? Infinity))) chosen = index;
  });
  return chosen;
}

/**
 * The accuracy of each candidate after its whole training, the mean over its seeds. Errors fall as a power of the images trained on
 * (Hestness et al. 2017), and with the power of the curve for all: that of each alone would be mostly noise. A photo counts as often as
 * `counts` says; `unlike` are factors of the candidates' powers.
 */
export function predictions(
  { outcomes, curve, wholeImages, costs }: Evidence,
  counts: Uint16Array,
  unlike: readonly number[] = [],
): number[] {
  const errorOf = (outcome: Outcome) => errorIn(outcome, counts);
  const power = curve ? powerOf(curve, errorOf) : 0;
  return costs.map((_, candidate) => {
    const own = outcomes.filter((each) => each.candidate === candidate);
    const errors = own.map((each) => errorOf(each) * (wholeImages / each.images) ** (power * (unlike[candidate] ?? 1)));
    return 1 - errors.reduce((sum, error) => sum + error, 0) / errors.length;
  });
}

function errorIn(outcome: Outcome, counts: Uint16Array): number {
  const { correct = [], ranking } = outcome;
  if (ranking) return 1 - ranking.map(counts);
  let [wrong, total] = [0, 0];
  for (const count of counts) total += count;
  correct.forEach((isRight, photo) => (wrong += isRight ? 0 : (counts[photo] ?? 0)));
  return wrong / total;
}

/** The power of the number of images with which errors fall: 0 where they do not, or where there are none. */
function powerOf([short, long]: readonly [Outcome, Outcome], errorOf: (outcome: Outcome) => number): number {
  const [before, after] = [errorOf(short), errorOf(long)];
  return after > 0 && before > after ? Math.log(after / before) / Math.log(long.images / short.images) : 0;
}

/** The bounds of the middle `share` of the values. */
function middleOf(values: readonly number[], share: number): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? NaN;
  return [at((1 - share) / 2), at((1 + share) / 2)];
}
