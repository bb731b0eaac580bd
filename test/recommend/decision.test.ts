import { describe, expect, it } from 'vitest';
import { decide, estimates, kneeOf, type Outcome } from '../../src/recommend/decision.js';

/** `right` of `photos` are right, the first of them. */
const correct = (right: number, photos = 100) => Array.from({ length: photos }, (_, photo) => photo < right);
const outcome = (candidate: number, rung: number, right: number, seed = 0): Outcome => ({
  candidate,
  rung,
  seed,
  correct: correct(right),
});

describe('the knee', () => {
  const costs = [1, 4, 10, 60];

  it('is the cheapest policy that is within the tolerance of the best', () => {
    expect(kneeOf([0.8, 0.9, 0.905, 0.909], costs, 0.01)).toBe(1);
    expect(kneeOf([0.8, 0.9, 0.905, 0.911], costs, 0.01)).toBe(2);
    expect(kneeOf([0.8, 0.85, 0.88, 0.95], costs, 0.01)).toBe(3);
  });

  it('counts a difference of exactly the tolerance as within it', () => {
    expect(kneeOf([0.9, 0.91], [1, 2], 0.01)).toBe(0);
  });

  it('goes by cost, not by the number of layers', () => {
    expect(kneeOf([0.5, 0.6, 0.6], [1, 9, 8], 0.01)).toBe(2);
  });

  it('takes the more accurate of two that cost the same', () => {
    expect(kneeOf([0.595, 0.6], [3, 3], 0.01)).toBe(1);
  });
});

describe('accuracies from short trainings', () => {
  it('are means over the seeds of the longest ones', () => {
    const outcomes = [outcome(0, 0, 10), outcome(0, 1, 50), outcome(0, 1, 60, 1)];
    expect(estimates(outcomes, 1, new Uint16Array(100).fill(1))[0]).toBeCloseTo(0.55);
  });

  it('place one that was left behind by what it lacked of the finalists then', () => {
    // The finalists had 0.60 and 0.70 in the first rung, the third 0.62: 0.03 below their mean, which is 0.80 in the second.
    const outcomes = [outcome(0, 0, 60), outcome(1, 0, 70), outcome(2, 0, 62), outcome(0, 1, 78), outcome(1, 1, 82)];
    const [first, second, third] = estimates(outcomes, 3, new Uint16Array(100).fill(1));
    expect([first, second]).toEqual([0.78, 0.82]);
    expect(third).toBeCloseTo(0.77);
  });
});

describe('how sure a decision is', () => {
  const options = { tolerance: 0.01, seed: 0 };

  it('is certain where every resample shows the same', () => {
    const { chosen, standings } = decide([outcome(0, 0, 20), outcome(1, 0, 90)], [1, 2], options);
    expect(chosen).toBe(1);
    expect(standings.map(({ chosenShare }) => chosenShare)).toEqual([0, 1]);
  });

  it('is a toss-up where two differ by about the tolerance, and the intervals have the width of a share of 100 photos', () => {
    const second = { candidate: 1, rung: 0, seed: 0, correct: [...correct(49, 98), true, true] };
    // 49 and 51 right, 2 points apart: beyond the tolerance, by as much as one photo weighs.
    const { chosen, standings } = decide([outcome(0, 0, 49), second], [1, 2], options);
    expect(chosen).toBe(1);
    expect(standings[1]?.chosenShare).toBeGreaterThan(0.4);
    expect(standings[1]?.chosenShare).toBeLessThan(0.8);
    // 1.96 standard errors of a share of a half: 0.098.
    const [low, high] = standings[0]?.interval ?? [0, 0];
    expect((high - low) / 2).toBeGreaterThan(0.08);
    expect((high - low) / 2).toBeLessThan(0.12);
  });

  it('is the same for the same seed', () => {
    const outcomes = [outcome(0, 0, 50), outcome(1, 0, 52), outcome(1, 0, 47, 1), outcome(0, 0, 51, 1)];
    expect(decide(outcomes, [1, 2], options)).toEqual(decide(outcomes, [1, 2], options));
  });
});
