import { expect, it } from 'vitest';
import { balancedClassWeights, balancedOrder } from '../../src/data/classBalance.js';
import { Random } from '../../src/random.js';

const photos = [0, 0, 0, 0, 0, 0, 1, 1, 3].map((label, at) => ({ path: String(at), label }));

it("weighs classes as scikit-learn's balanced does", () => {
  // 9 / (3 · 6), 9 / (3 · 2), none, 9 / (3 · 1)
  expect([...balancedClassWeights(photos, 4)]).toEqual([0.5, 1.5, 0, 3]);
  expect([...balancedClassWeights([], 2)]).toEqual([0, 0]);
});

it('draws every class as often as any other, with replacement, the same for the same seed', () => {
  const labels = photos.map(({ label }) => label);
  const order = balancedOrder(labels, 3000, new Random(1));
  expect(order).toEqual(balancedOrder(labels, 3000, new Random(1)));
  expect(order).not.toEqual(balancedOrder(labels, 3000, new Random(2)));
  const count = (member: (index: number) => boolean) => order.filter(member).length;
  // Standard deviation 26.
  for (const label of [0, 1, 3]) expect(Math.abs(count((index) => labels[index] === label) - 1000)).toBeLessThan(130);
  for (const index of [6, 7]) expect(Math.abs(count((drawn) => drawn === index) - 500)).toBeLessThan(130);
  expect(balancedOrder([], 5, new Random(1))).toEqual([]);
});
