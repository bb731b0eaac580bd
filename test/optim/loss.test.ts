import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { crossEntropy, meanShares, type Objective } from '../../src/optim/loss.js';
import * as ort from '../../src/runtime/ort.js';

const shares = (labels: number[], weights?: number[]) => {
  const into = new Float32Array(labels.length);
  meanShares(labels, weights, into);
  return [...into];
};

describe('meanShares', () => {
  it('divides one among the images, and gives nothing to what only fills up a batch', () => {
    expect(shares([0, 1, -1, 1, 0, -1])).toEqual([0.25, 0.25, 0, 0.25, 0.25, 0]);
    expect(shares([-1, -1])).toEqual([0, 0]);
    const longer = new Float32Array(3).fill(NaN);
    meanShares([1, 0], [2, 2], longer);
    expect([...longer]).toEqual([0.25, 0.25, 0]);
  });

  it('divides by the class weights of the labels, as PyTorch does', () => {
    // 1/(3 + 1 + 4)
    expect(shares([0, 0], [0, 1])).toEqual([0, 0]);
    expect(shares([0, 1, 2, -1], [3, 1, 4])).toEqual([0.125, 0.125, 0.125, 0]);
  });
});

describe('crossEntropy', () => {
  const logits = [
    [0.5, -1, 2],
    [-0.3, 0.8, 0.1],
  ];
  const targets = [
    [0, 1, 0],
    [0.25, 0, 0.75],
  ];
  const shares = [0.5, 0.25];

  /** The formula of the documentation, in double precision. */
  function expected({ labelSmoothing = 0, classWeights = [1, 1, 1], focalGamma = 0 }: Objective): number {
    let loss = 0;
    for (const [n, row] of logits.entries()) {
      const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
      for (const [c, logit] of row.entries()) {
        const probability = Math.exp(logit) / sum;
        const target = (1 - labelSmoothing) * (targets[n]?.[c] ?? 0) + labelSmoothing / 3;
        loss -=
          (shares[n] ?? 0) * (classWeights[c] ?? 0) * (1 - probability) ** focalGamma * target * Math.log(probability);
      }
    }
    return loss;
  }

  async function compiled(objective: Objective): Promise<{ loss: number; ops: string[] }> {
    const g = new Builder(18);
    const inputs = [
      g.input('logits', 'float32', [2, 3]),
      g.input('targets', 'float32', [2, 3]),
      g.input('shares', 'float32', [2]),
    ] as const;
    g.output('loss', crossEntropy(g, ...inputs, objective));
    const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'loss')), {});
    const tensor = (values: readonly number[], dims: number[]) =>
      new ort.Tensor('float32', Float32Array.from(values), dims);
    const results = await session.run({
      logits: tensor(logits.flat(), [2, 3]),
      targets: tensor(targets.flat(), [2, 3]),
      shares: tensor(shares, [2]),
    });
    await session.release();
    const [loss = NaN] = results['loss']?.data as Float32Array;
    return { loss, ops: g.graph.nodes.map(({ op }) => op) };
  }

  it.each<[string, Objective]>([
    ['as it is', {}],
    ['with smoothed targets', { labelSmoothing: 0.1 }],
    ['with class weights', { classWeights: [1, 2, 0.5] }],
    ['with a focus', { focalGamma: 2 }],
    ['with a focus of 1', { focalGamma: 1 }],
    ['with a focus below 1', { focalGamma: 0.5 }],
    ['with all of them', { labelSmoothing: 0.2, classWeights: [3, 1, 2], focalGamma: 1.5 }],
  ])('is what its formula says: %s', async (_, objective) => {
    expect((await compiled(objective)).loss).toBeCloseTo(expected(objective), 5);
  });

  it('has no operator for what is not asked for', async () => {
    const { ops } = await compiled({ labelSmoothing: 0, focalGamma: 0 });
    expect(ops).toEqual(['LogSoftmax', 'Mul', 'ReduceSum', 'Mul', 'ReduceSum', 'Neg']);
    expect((await compiled({ focalGamma: 1 })).ops).not.toContain('Pow');
  });

  it('stays a number where a class is certain', async () => {
    const g = new Builder(18);
    const [x, y] = [g.input('x', 'float32', [1, 2]), g.input('y', 'float32', [1, 2])];
    g.output('loss', crossEntropy(g, x, y, g.input('shares', 'float32', [1]), { focalGamma: 0.5 }));
    const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'loss')), {});
    const tensor = (...values: number[]) =>
      new ort.Tensor('float32', Float32Array.from(values), values.length === 1 ? [1] : [1, 2]);
    const results = await session.run({ x: tensor(100, 0), y: tensor(1, 0), shares: tensor(1) });
    await session.release();
    expect((results['loss']?.data as Float32Array)[0]).toBeCloseTo(0, 6);
  });
});
