import { type Attribute, float, int, text } from '../../../src/graph/graph.js';
import { floatTensor, tensor } from '../../../src/onnx/tensor.js';
import { type Case, one } from '../finiteDifferences.js';

/** A case of one operator whose inputs are those of the case. */
const plain = (
  op: string,
  what: string,
  shapes: readonly (readonly number[])[],
  attributes: Record<string, Attribute> = {},
  options: { from?: number; domain?: string; opset?: number } = {},
): Case => ({
  op,
  what,
  shapes,
  build: (g, inputs) => g.op(op, inputs, attributes, options.domain === undefined ? {} : { domain: options.domain }),
  ...options,
});

/** Cases of a reduction over some axes: the last, two of them, all. */
const reduction = (op: string, from?: number): Case[] => [
  one(op, 'a negative axis, kept', [[2, 3, 4]], (g, a) => g.op(op, [a, g.vector([-1])]), from),
  one(op, 'two axes, not kept', [[2, 3, 4]], (g, a) => g.op(op, [a, g.vector([0, 2])], { keepdims: int(0) }), from),
  one(op, 'all', [[2, 3]], (g, a) => g.op(op, [a], { keepdims: int(0) }), from),
];

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
  one('Clip', 'a lower bound', [[4, 5]], (g, a) => g.op('Clip', [a, g.scalar(-0.4)])),
  one('Clip', 'an upper bound', [[4, 5]], (g, a) => g.op('Clip', [a, undefined, g.scalar(0.6)])),
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
  one('QuickGelu', 'the default', [[3, 4]], (g, a) => g.op('QuickGelu', [a], {}, { domain: 'com.microsoft' })),
  one('QuickGelu', 'α = 1.702', [[3, 4]], (g, a) =>
    g.op('QuickGelu', [a], { alpha: float(1.702) }, { domain: 'com.microsoft' }),
  ),
  one('ReduceMean', 'spatial axes', [[2, 3, 4, 5]], (g, a) => g.reduceMean(a, [2, 3], false)),
  one('ReduceMean', 'a negative axis, kept', [[2, 3, 4]], (g, a) => g.reduceMean(a, [-1], true)),
  one('ReduceSum', 'all', [[2, 3]], (g, a) => g.reduceSum(a, undefined, false)),
  one('ReduceSum', 'one axis', [[2, 3, 2]], (g, a) => g.reduceSum(a, [1], false)),
  one('Relu', 'a matrix', [[4, 5]], (g, a) => g.relu(a)),
  one('Sigmoid', 'a matrix', [[4, 5]], (g, a) => g.sigmoid(a)),
  plain(
    'Einsum',
    'a product with a transposed matrix',
    [
      [3, 4],
      [5, 4],
    ],
    { equation: text('ni,oi->no') },
  ),
  plain('Einsum', 'an axis that one input alone has', [[3, 4, 2], [4]], { equation: text('nij,i->n') }),
  plain('LpNormalization', 'the last axis', [[3, 4]], { axis: int(-1), p: int(2) }),
  plain('LpNormalization', 'the first norm', [[2, 3, 4]], { axis: int(1), p: int(1) }),
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

  plain('Gemm', 'no attributes', [[3, 4], [4, 2], [2]]),
  plain('Abs', 'a matrix', [[4, 5]]),
  one('BatchNormalization', 'frozen statistics', [[2, 3, 4, 2], [3], [3]], (g, x, scale, bias) =>
    g.op('BatchNormalization', [
      x,
      scale,
      bias,
      g.constant('mean', floatTensor([3], [0.3, -0.2, 1])),
      g.constant('variance', floatTensor([3], [0.5, 2, 1])),
    ]),
  ),
  one('BatchNormalization', 'a matrix', [[4, 3], [3], [3]], (g, x, scale, bias) =>
    g.op('BatchNormalization', [
      x,
      scale,
      bias,
      g.constant('mean', floatTensor([3], [0.3, -0.2, 1])),
      g.constant('variance', floatTensor([3], [0.5, 2, 1])),
    ]),
  ),
  one('BatchNormalization', 'a variance as small as ε', [[2, 2, 3], [2], [2]], (g, x, scale, bias) =>
    g.op('BatchNormalization', [
      g.mul(x, g.scalar(0.01)),
      scale,
      bias,
      ...[
        [0.003, -0.002],
        [1e-5, 3e-5],
      ].map((numbers) => g.row('statistics', numbers)),
    ]),
  ),
  one('Cast', 'to double and back', [[2, 3]], (g, a) => {
    const wide = g.cast(a, 11);
    return g.cast(g.op('Mul', [wide, wide]), 1);
  }),
  plain('Ceil', 'no slope', [[2, 3]]),
  plain('Celu', 'α = 1', [[4, 5]]),
  plain('Celu', 'α = 0.4', [[4, 5]], { alpha: float(0.4) }),
  one('Dropout', 'not in training mode', [[2, 3]], (g, a) => g.op('Dropout', [a, g.scalar(0.5)])),
  plain('Elu', 'α = 1', [[4, 5]]),
  plain('Elu', 'α = 0.4', [[4, 5]], { alpha: float(0.4) }),
  plain('Elu', 'α = 1.7', [[4, 5]], { alpha: float(1.7) }),
  plain('Erf', 'a matrix', [[4, 5]]),
  plain('Exp', 'a matrix', [[4, 5]]),
  plain('FastGelu', 'no bias', [[4, 5]], {}, { domain: 'com.microsoft' }),
  plain('FastGelu', 'a bias', [[4, 5], [5]], {}, { domain: 'com.microsoft' }),
  plain('Floor', 'no slope', [[2, 3]]),
  plain('Gelu', 'exact', [[4, 5]], {}, { opset: 20 }),
  plain('Gelu', 'by tanh', [[4, 5]], { approximate: text('tanh') }, { opset: 20 }),
  plain('Gelu', "Microsoft's", [[4, 5]], {}, { domain: 'com.microsoft' }),
  plain('GroupNormalization', 'γ for each group', [[2, 6, 2, 3], [2], [2]], { num_groups: int(2) }),
  plain('GroupNormalization', 'γ for each channel', [[2, 6, 2, 3], [6], [6]], { num_groups: int(2) }, { opset: 21 }),
  plain('HardSigmoid', 'both bounds', [[4, 5]], { alpha: float(0.8) }),
  one('HardSwish', 'all three pieces', [[6, 5]], (g, a) => g.op('HardSwish', [g.mul(a, g.scalar(5))])),
  one('GroupNormalization', 'a variance as small as ε', [[2, 4, 3], [2], [2]], (g, x, scale, bias) =>
    g.op('GroupNormalization', [g.mul(x, g.scalar(0.01)), scale, bias], { num_groups: int(2) }),
  ),
  plain('HardSigmoid', 'the defaults', [[4, 5]]),
  plain('InstanceNormalization', 'maps', [[2, 3, 4, 2], [3], [3]]),
  plain('InstanceNormalization', 'sequences', [[2, 3, 5], [3], [3]], { epsilon: float(0.01) }),
  plain('LRN', 'three neighbours', [[2, 5, 2, 2]], { size: int(3), alpha: float(0.5), bias: float(1) }),
  // The default α, a ten-thousandth, counts where the squares are large.
  one('LRN', 'the defaults', [[1, 4, 2, 1]], (g, x) => g.op('LRN', [g.mul(x, g.scalar(100))], { size: int(3) })),
  plain('LRN', 'other constants', [[1, 6, 2, 1]], {
    size: int(5),
    alpha: float(0.9),
    bias: float(2),
    beta: float(0.5),
  }),
  plain('LayerNormalization', 'the last axis', [[2, 3, 6], [6], [6]]),
  plain(
    'LayerNormalization',
    'two axes',
    [
      [2, 3, 4],
      [3, 4],
      [3, 4],
    ],
    { axis: int(1), epsilon: float(0.01) },
  ),
  plain('LayerNormalization', 'no bias', [[2, 3, 6], [6]], { axis: int(2) }),
  plain('LeakyRelu', 'the default', [[4, 5]]),
  plain('LeakyRelu', 'α = −0.3', [[4, 5]], { alpha: float(-0.3) }),
  plain('Log', 'a matrix', [[4, 5]], {}, { from: 0.5 }),
  plain('LogSoftmax', 'no axis', [[2, 3, 5]]),
  plain('Softmax', 'no axis', [[2, 3, 5]]),
  one('LogSoftmax', 'the first axis', [[3, 5]], (g, a) => g.logSoftmax(a, 0)),
  one('MatMul', 'a vector on the left', [[4], [2, 4, 3]], (g, a, b) => g.matmul(a, b)),
  one('MatMul', 'a vector on the right', [[2, 3, 4], [4]], (g, a, b) => g.matmul(a, b)),
  one('MatMul', 'two vectors', [[4], [4]], (g, a, b) => g.matmul(a, b)),
  one('MatMul', 'a vector and a matrix', [[4], [4, 3]], (g, a, b) => g.matmul(a, b)),
  one(
    'MatMul',
    'batches on both sides',
    [
      [2, 1, 3, 4],
      [5, 4, 2],
    ],
    (g, a, b) => g.matmul(a, b),
  ),
  one(
    'MatMul',
    'a batch on the right',
    [
      [3, 4],
      [2, 4, 2],
    ],
    (g, a, b) => g.matmul(a, b),
  ),
  plain('Max', 'two, broadcasting', [[3, 4], [4]]),
  plain('Max', 'three, broadcasting', [[3, 4], [4], [3, 1]]),
  plain('Max', 'one', [[3, 4]]),
  plain('Mean', 'three, broadcasting', [[3, 4], [4], [2, 1, 1]]),
  plain('Min', 'two, broadcasting', [[3, 4], [4]]),
  plain('Min', 'three, broadcasting', [[3, 4], [4], [3, 1]]),
  plain('Mish', 'a matrix', [[4, 5]]),
  plain('PRelu', 'a slope for each channel', [
    [2, 3, 2, 2],
    [3, 1, 1],
  ]),
  plain('PRelu', 'one slope', [[4, 5], [1]]),
  plain(
    'Pow',
    'broadcasting both',
    [
      [3, 1],
      [1, 4],
    ],
    {},
    { from: 0.3 },
  ),
  one('Pow', 'the power 0', [[3, 4]], (g, a) => g.pow(a, g.scalar(0))),
  one('Pow', 'the power 1', [[3, 4]], (g, a) => g.pow(a, g.scalar(1))),
  one('Pow', 'a base that does not train', [[3, 4]], (g, a) => g.pow(g.scalar(3), a)),
  one('Pow', 'whole numbers for each column', [[3, 2]], (g, a) => g.pow(a, g.vector([2, 3]))),
  one('Pow', 'a square', [[3, 4]], (g, a) => g.pow(a, g.scalar(2))),
  one('Pow', 'a cube', [[3, 4]], (g, a) => g.pow(a, g.scalar(3))),
  one('Pow', 'a root', [[3, 4]], (g, a) => g.pow(a, g.scalar(0.5)), 0.3),
  one('Pow', 'an exponent for each column', [[3, 2]], (g, a) => g.pow(a, g.constant('b', floatTensor([2], [2, 3])))),
  plain('Reciprocal', 'a matrix', [[4, 5]], {}, { from: 0.5 }),
  ...reduction('ReduceL1'),
  ...reduction('ReduceL2'),
  ...reduction('ReduceLogSum', 0.3),
  ...reduction('ReduceLogSumExp'),
  ...reduction('ReduceMax'),
  ...reduction('ReduceMin'),
  ...reduction('ReduceSumSquare'),
  plain('ReduceSum', 'no axes, nothing to do', [[2, 3]], { noop_with_empty_axes: int(1) }),
  plain('ReduceMax', 'no axes, nothing to do', [[2, 3]], { noop_with_empty_axes: int(1) }),
  plain('Round', 'no slope', [[2, 3]]),
  plain('Selu', 'the defaults', [[4, 5]]),
  plain('Selu', 'other constants', [[4, 5]], { alpha: float(1.2), gamma: float(0.7) }),
  plain('Sign', 'no slope', [[2, 3]]),
  one('Softmax', 'the middle axis', [[2, 3, 4]], (g, a) => g.softmax(a, 1)),
  plain('Softplus', 'a matrix', [[4, 5]]),
  plain('Softsign', 'a matrix', [[4, 5]]),
  plain('Sqrt', 'a matrix', [[4, 5]], {}, { from: 0.3 }),
  plain('Sum', 'three, broadcasting', [[3, 4], [4], [2, 1, 1]]),
  plain('Swish', 'α = 1', [[4, 5]], {}, { opset: 24 }),
  plain('Swish', 'α = 1.5', [[4, 5]], { alpha: float(1.5) }, { opset: 24 }),
  one('ThresholdedRelu', 'the default', [[4, 5]], (g, a) => g.op('ThresholdedRelu', [g.mul(a, g.scalar(3))])),
  plain('ThresholdedRelu', 'α = 0.3', [[4, 5]], { alpha: float(0.3) }),
  one(
    'Where',
    'broadcasting',
    [
      [3, 1],
      [1, 4],
    ],
    (g, a, b) => g.where(g.constant('c', tensor('bool', [4], Uint8Array.from([1, 0, 0, 1]))), a, b),
  ),
  one('Where', 'a condition that depends on x', [[4, 5]], (g, a) =>
    g.where(g.greater(a, g.scalar(0.1)), g.mul(a, a), a),
  ),
];
