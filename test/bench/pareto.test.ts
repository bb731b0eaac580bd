import { expect, it } from 'vitest';
import { kneeOf, paretoFront } from '../../src/bench/pareto.js';

const choice = (cost: number, gain: number) => ({ cost, gain });

it('keeps what no other choice beats in cost and gain, cheapest first', () => {
  const [cheap, dear, beaten, same, best] = [
    choice(1, 50),
    choice(9, 70),
    choice(10, 60),
    choice(1, 40),
    choice(12, 71),
  ];
  expect(paretoFront([beaten, dear, best, same, cheap])).toEqual([cheap, dear, best]);
});

it('finds the knee of a curve where Kneedle does', () => {
  // y = -1/x + 5 for x in 0.1 … 1, the example of the paper, whose knee it gives at x = 0.22, within a step of the points.
  const front = Array.from({ length: 10 }, (_, index) => choice(0.1 + index / 10, 5 - 1 / (0.1 + index / 10)));
  expect(kneeOf(front)?.cost).toBeCloseTo(0.3, 10);
});

it('names no knee where there is none', () => {
  expect(kneeOf([choice(1, 1), choice(2, 2)])).toBeUndefined();
  expect(kneeOf([choice(1, 1), choice(2, 2), choice(3, 3)])).toBeUndefined();
  expect(kneeOf([choice(1, 1), choice(2, 1.1), choice(3, 3)])).toBeUndefined();
});
