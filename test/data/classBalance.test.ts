import { expect, it } from 'vitest';
import { balancedClassWeights, balancedLabelWeights, balancedOrder } from '../../src/data/classBalance.js';
import { Random } from '../../src/random.js';

const photos = [0, 0, 0, 0, 0, 0, 1, 1, 3].map((label, at) => ({ path: String(at), label }));

it("weighs classes as scikit-learn's balanced does", () => {
  // 9 / (3 · 6), 9 / (3 · 2), none, 9 / (3 · 1)
  expect([...balancedClassWeights(photos, 4)]).toEqual([0.5, 1.5, 0, 3]);
  expect([...balancedClassWeights([], 2)]).toEqual([0, 0]);
});

it('draws every class as often as any other, with replacement, the same for the same seed', () => {
  const labels = photos.map(({ label }) => label);
  const each = labels.map((label) => [label]);
  const order = balancedOrder(each, 3000, new Random(1));
  expect(order).toEqual(balancedOrder(each, 3000, new Random(1)));
  expect(order).not.toEqual(balancedOrder(each, 3000, new Random(2)));
  const count = (member: (index: number) => boolean) => order.filter(member).length;
  // Standard deviation 26.
  for (const label of [0, 1, 3]) expect(Math.abs(count((index) => labels[index] === label) - 1000)).toBeLessThan(130);
  for (const index of [6, 7]) expect(Math.abs(count((drawn) => drawn === index) - 500)).toBeLessThan(130);
  expect(balancedOrder([], 5, new Random(1))).toEqual([]);
});

it('weighs photos with a label against those without it, as pos_weight of PyTorch does', () => {
  const some = [[0], [0, 1], [], [0]].map((labels, at) => ({ path: String(at), label: 0, labels }));
  // One without for three with, three without for one with, and none with.
  expect([...balancedLabelWeights(some, 3)]).toEqual([Math.fround(1 / 3), 3, 1]);
  // All with, and one of two.
  expect([...balancedLabelWeights(some.slice(0, 2), 2)]).toEqual([1, 1]);
});

it('draws every label as often as any other, and photos without one as those of a label', () => {
  const labels = [[0], [0], [0], [0, 1], []];
  const order = balancedOrder(labels, 3000, new Random(1));
  const count = (index: number) => order.filter((drawn) => drawn === index).length;
  expect(Math.abs(count(4) - 1000)).toBeLessThan(130);
  // All of the draws of the second label, a quarter of those of the first.
  expect(Math.abs(count(3) - 1250)).toBeLessThan(130);
});
