import { describe, expect, it } from 'vitest';
import { cheapestWithin, decide, type Evidence, type Outcome, predictions } from '../../src/recommend/decision.js';

/** `right` of `photos` are right, the first of them. */
const correct = (right: number, photos = 100) => Array.from({ length: photos }, (_, photo) => photo < right);
const outcome = (candidate: number, right: number, images = 100): Outcome => ({
  candidate,
  images,
  correct: correct(right),
});
const evidence = (outcomes: readonly Outcome[], more: Partial<Evidence> = {}): Evidence => ({
  outcomes,
  curve: undefined,
  wholeImages: 100,
  costs: [1, 4, 10, 60].slice(0, Math.max(...outcomes.map(({ candidate }) => candidate)) + 1),
  ...more,
});
const once = new Uint16Array(100).fill(1);

describe('the cheapest that loses little', () => {
  const costs = [1, 4, 10, 60];

  it('is the cheapest policy that loses no more than the tolerance', () => {
    expect(cheapestWithin([0.1, 0.01, 0.005, 0], costs, 0.01)).toBe(1);
    expect(cheapestWithin([0.1, 0.011, 0.005, 0], costs, 0.01)).toBe(2);
  });

  it('is the one that loses least where none loses so little', () => {
    expect(cheapestWithin([0.1, 0.04, 0.05, 0.03], costs, 0.01)).toBe(3);
  });

  it('goes by cost, not by the number of layers, and by what is lost where costs are equal', () => {
    expect(cheapestWithin([0.1, 0, 0], [1, 9, 8], 0.01)).toBe(2);
    expect(cheapestWithin([0.005, 0.001], [3, 3], 0.01)).toBe(1);
  });
});

describe('accuracies after the whole training', () => {
  it('are means over the seeds where the trainings were as long', () => {
    expect(predictions(evidence([outcome(0, 50), outcome(0, 60)]), once)[0]).toBeCloseTo(0.55);
  });

  it('follow the power by which errors fell from the shorter training to the longer', () => {
    // Four times the images took errors from 80 % to 40 %: by half, and once more for the four times as many of the whole training.
    const outcomes = [outcome(0, 30, 1600), outcome(1, 60, 400), outcome(2, 70, 400)];
    const curve = [outcome(1, 20), outcome(1, 60, 400)] as const;
    const [head, first, second] = predictions(evidence(outcomes, { curve, wholeImages: 1600 }), once);
    // The head was trained wholly.
    expect(head).toBeCloseTo(0.3);
    expect(first).toBeCloseTo(0.8);
    expect(second).toBeCloseTo(0.85);
  });

  it('are those of the short trainings where errors did not fall', () => {
    const curve = [outcome(0, 60), outcome(0, 50, 400)] as const;
    expect(predictions(evidence([outcome(0, 50, 400)], { curve, wholeImages: 1600 }), once)[0]).toBeCloseTo(0.5);
  });
});

describe('a decision', () => {
  const options = { tolerance: 0.01, seed: 0 };

  it('is certain where every resample shows the same', () => {
    const { chosen, best, standings } = decide(evidence([outcome(0, 20), outcome(1, 90)]), options);
    expect([chosen, best]).toEqual([1, 1]);
    expect(standings.map(({ nearBest }) => Math.round(1000 * nearBest))).toEqual([0, 1000]);
    expect(standings[0]?.regret).toBeCloseTo(0.7, 1);
    expect(standings[1]?.regret).toBe(0);
  });

  it('takes the cheaper of two that are right on the same photos, and the more accurate of two that differ on many', () => {
    expect(decide(evidence([outcome(0, 50), outcome(1, 50)]), options).chosen).toBe(0);
    // As accurate but for two photos; on 98 others of 100 they disagree, so that the cheaper may well be far behind.
    const other = { ...outcome(1, 0), correct: correct(51).toReversed() };
    const { chosen, standings } = decide(evidence([outcome(0, 49), other]), options);
    expect(chosen).toBe(1);
    expect(standings[0]?.regret).toBeGreaterThan(0.02);
    // 1.96 standard errors of a share of a half: 0.098.
    const [low, high] = standings[0]?.interval ?? [0, 0];
    expect((high - low) / 2).toBeGreaterThan(0.08);
    expect((high - low) / 2).toBeLessThan(0.12);
  });

  it('is the less sure, the further it is extrapolated', () => {
    const outcomes = [outcome(0, 60, 400), outcome(1, 60, 400)];
    const curve = [outcome(0, 20), outcome(0, 60, 400)] as const;
    const nearBest = (wholeImages: number) =>
      decide(evidence(outcomes, { curve, wholeImages }), options).standings[0]?.nearBest ?? NaN;
    // Right on the same photos: no draw of photos parts them.
    expect(nearBest(400)).toBeCloseTo(1);
    expect(nearBest(1600)).toBeLessThan(0.9);
    expect(nearBest(6400)).toBeGreaterThan(0.4);
  });

  it('is the same for the same seed', () => {
    const some = evidence([outcome(0, 50), outcome(1, 52), outcome(1, 47), outcome(0, 51)]);
    expect(decide(some, options)).toEqual(decide(some, options));
  });
});
