import { describe, expect, it } from 'vitest';
import { meanShares } from '../../src/optim/loss.js';

const shares = (labels: number[], weights?: number[]) => {
  const into = new Float32Array(labels.length);
  meanShares(labels, weights, into);
  return [...into];
};

describe('meanShares', () => {
  it('divides one among the images, and gives nothing to what only fills up a batch', () => {
    expect(shares([0, 1, -1, 1, 0, -1])).toEqual([0.25, 0.25, 0, 0.25, 0.25, 0]);
    expect(shares([-1, -1])).toEqual([0, 0]);
  });

  it('divides by the class weights of the labels, as PyTorch does', () => {
    // 1/(3 + 1 + 4)
    expect(shares([0, 0], [0, 1])).toEqual([0, 0]);
    expect(shares([0, 1, 2, -1], [3, 1, 4])).toEqual([0.125, 0.125, 0.125, 0]);
  });
});
