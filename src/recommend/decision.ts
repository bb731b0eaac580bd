import { Random } from '../random.js';

/** One short training of one candidate, on the same held-out photos as all others. */
export interface Outcome {
  /** Index of the candidate. */
  readonly candidate: number;
  /** Trainings of one rung are alike in photos and epochs; higher rungs are longer. */
  readonly rung: number;
  readonly seed: number;
  /** Of each held-out photo, whether it was classified rightly. */
  readonly correct: readonly boolean[];
}

/** What the outcomes say of a candidate. */
export interface Standing {
  /** Share of held-out photos, 0 to 1; see {@link estimates}. */
  readonly accuracy: number;
  /** 95 % of the resamples lie between these. */
  readonly interval: readonly [number, number];
  /** Share of resamples in which it is chosen. */
  readonly chosenShare: number;
}

export interface Decision {
  /** Index of the chosen candidate. */
  readonly chosen: number;
  /** Index of the one that looks most accurate. */
  readonly best: number;
  readonly standings: readonly Standing[];
}

/**
 * Chooses the knee, the cheapest candidate that is not more than `tolerance` less accurate than the best, by vote: held-out photos, the
 * same for all, and seeds are drawn again many times (Efron 1979), and what is the knee most often is chosen, which is steadier than the
 * knee of one draw (bagging: Breiman 1996).
 * @param costs of each candidate, in whatever unit.
 */
export function decide(
  outcomes: readonly Outcome[],
  costs: readonly number[],
  { tolerance, seed, resamples = 1000 }: { tolerance: number; seed: number; resamples?: number },
): Decision {
  const photos = outcomes[0]?.correct.length ?? 0;
  const once = new Uint16Array(photos).fill(1);
  const accuracies = estimates(outcomes, costs.length, once);
  const random = new Random(seed);
  const drawn: number[][] = costs.map(() => []);
  const wins = costs.map(() => 0);
  for (let resample = 0; resample < resamples; resample++) {
    const counts = new Uint16Array(photos);
    for (let draw = 0; draw < photos; draw++) {
      const photo = random.integer(photos);
      counts[photo] = (counts[photo] ?? 0) + 1;
    }
    const values = estimates(resampleSeeds(outcomes, random), costs.length, counts);
    values.forEach((value, candidate) => drawn[candidate]?.push(value));
    const winner = kneeOf(values, costs, tolerance);
    wins[winner] = (wins[winner] ?? 0) + 1;
  }
  return {
    chosen: kneeOf(wins, costs, 0),
    best: accuracies.indexOf(Math.max(...accuracies)),
    standings: accuracies.map((accuracy, candidate) => ({
      accuracy,
      interval: middleOf(drawn[candidate] ?? [], 0.95),
      chosenShare: (wins[candidate] ?? 0) / resamples,
    })),
  };
}

/** The cheapest of the candidates that are within `tolerance` of the best; of equally cheap ones the more accurate. */
export function kneeOf(accuracies: readonly number[], costs: readonly number[], tolerance: number): number {
  // Shares of photos: what differs by less than this is equal.
  const least = Math.max(...accuracies) - tolerance - 1e-9;
  let knee = -1;
  accuracies.forEach((accuracy, index) => {
    if (accuracy < least) return;
    const [cost, cheapest] = [costs[index] ?? NaN, costs[knee] ?? Infinity];
    if (cost < cheapest || (cost === cheapest && accuracy > (accuracies[knee] ?? 0))) knee = index;
  });
  return knee;
}

/**
 * The accuracy of each candidate in the longest trainings. One that was left behind in an earlier rung is placed by what it lacked
 * there, on average, of those that went on. A photo counts as often as `counts` says.
 */
export function estimates(outcomes: readonly Outcome[], candidates: number, counts: Uint16Array): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const sums = new Map<string, { sum: number; trainings: number }>();
  const last = new Array<number>(candidates).fill(-1);
  for (const { candidate, rung, correct } of outcomes) {
    let right = 0;
    correct.forEach((isRight, photo) => (right += isRight ? (counts[photo] ?? 0) : 0));
    const key = `${candidate} ${rung}`;
    const sum = sums.get(key) ?? { sum: 0, trainings: 0 };
    sums.set(key, { sum: sum.sum + right / total, trainings: sum.trainings + 1 });
    last[candidate] = Math.max(last[candidate] ?? -1, rung);
  }
  const at = (candidate: number, rung: number) => {
    const found = sums.get(`${candidate} ${rung}`);
    return found ? found.sum / found.trainings : NaN;
  };
  const top = Math.max(...last);
  const finalists = last.flatMap((rung, candidate) => (rung === top ? [candidate] : []));
  const meanOf = (rung: number) => finalists.reduce((sum, each) => sum + at(each, rung), 0) / finalists.length;
  return last.map((rung, candidate) =>
    rung === top ? at(candidate, top) : meanOf(top) + at(candidate, rung) - meanOf(rung),
  );
}

/** Of each candidate and rung, as many trainings as there are, drawn with replacement. */
function resampleSeeds(outcomes: readonly Outcome[], random: Random): Outcome[] {
  const groups = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const key = `${outcome.candidate} ${outcome.rung}`;
    groups.set(key, [...(groups.get(key) ?? []), outcome]);
  }
  return [...groups.values()].flatMap((group) =>
    group.flatMap(() => group[group.length === 1 ? 0 : random.integer(group.length)] ?? []),
  );
}

/** The bounds of the middle `share` of the values. */
function middleOf(values: readonly number[], share: number): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? NaN;
  return [at((1 - share) / 2), at((1 + share) / 2)];
}
