import { float } from '../../../src/graph/graph.js';
import { type Case, one } from '../finiteDifferences.js';

/** Elementwise operators, activations, normalizations, reductions and matrix products. */
export const elementwise: readonly Case[] = [
  one(
    'Add',
    'broadcasting',
    [
      [2, 3, 4],
      [3, 1],
    ],
    (g, a, b) => g.add(a, b),
  ),
  one('Add', 'a value and itself', [[2, 3]], (g, a) => g.add(a, a)),
  one('Clip', 'both bounds', [[4, 5]], (g, a) => g.op('Clip', [a, g.scalar(-0.4), g.scalar(0.6)])),
  one('Div', 'broadcasting', [[2, 3], [3]], (g, a, b) => g.div(a, b), 0.5),
  one('Gemm', 'A·B + C', [[3, 4], [4, 2], [2]], (g, a, b, c) => g.gemm(a, b, { c })),
  one(
    'Gemm',
    'Aᵀ·B',
    [
      [4, 3],
      [4, 2],
    ],
    (g, a, b) => g.gemm(a, b, { transA: true }),
  ),
  one(
    'Gemm',
    'A·Bᵀ, α and β',
    [
      [3, 4],
      [2, 4],
      [3, 1],
    ],
    (g, a, b, c) => g.gemm(a, b, { transB: true, alpha: 0.5, beta: 2, c }),
  ),
  one(
    'Gemm',
    'Aᵀ·Bᵀ',
    [
      [4, 3],
      [2, 4],
    ],
    (g, a, b) => g.gemm(a, b, { transA: true, transB: true }),
  ),
  one('Identity', 'a vector', [[5]], (g, a) => g.op('Identity', [a])),
  one('LogSoftmax', 'the last axis', [[3, 5]], (g, a) => g.logSoftmax(a, -1)),
  one(
    'MatMul',
    'two matrices',
    [
      [3, 4],
      [4, 2],
    ],
    (g, a, b) => g.matmul(a, b),
  ),
  one(
    'MatMul',
    'broadcasting a batch',
    [
      [2, 3, 4],
      [4, 2],
    ],
    (g, a, b) => g.matmul(a, b),
  ),
  one(
    'Mul',
    'broadcasting both',
    [
      [2, 3, 1],
      [1, 4],
    ],
    (g, a, b) => g.mul(a, b),
  ),
  one('Neg', 'a vector', [[5]], (g, a) => g.neg(a)),
  one('QuickGelu', 'α = 1', [[3, 4]], (g, a) =>
    g.op('QuickGelu', [a], { alpha: float(1) }, { domain: 'com.microsoft' }),
  ),
  one('QuickGelu', 'α = 1.702', [[3, 4]], (g, a) =>
    g.op('QuickGelu', [a], { alpha: float(1.702) }, { domain: 'com.microsoft' }),
  ),
  one('ReduceMean', 'spatial axes', [[2, 3, 4, 5]], (g, a) => g.reduceMean(a, [2, 3], false)),
  one('ReduceMean', 'a negative axis, kept', [[2, 3, 4]], (g, a) => g.reduceMean(a, [-1], true)),
  one('ReduceSum', 'all', [[2, 3]], (g, a) => g.reduceSum(a, undefined, false)),
  one('ReduceSum', 'one axis', [[2, 3, 2]], (g, a) => g.reduceSum(a, [1], false)),
  one('Relu', 'a matrix', [[4, 5]], (g, a) => g.relu(a)),
  one('Sigmoid', 'a matrix', [[4, 5]], (g, a) => g.sigmoid(a)),
  one('Softmax', 'the last axis', [[3, 5]], (g, a) => g.softmax(a, -1)),
  one(
    'Sub',
    'broadcasting',
    [
      [3, 1],
      [2, 3, 4],
    ],
    (g, a, b) => g.sub(a, b),
  ),
  one('Tanh', 'a matrix', [[4, 5]], (g, a) => g.tanh(a)),
];
