import { BLOCKED, MICROSOFT } from './domains.js';
import type { Node } from './graph.js';
import { add, broadcasting, comparing, div, mod, mul, ofTwoNumbers, sub, where } from './operators/arithmetic.js';
import { conv, convTranspose } from './operators/convolutions.js';
import { cast, dropout, elementwise, prelu, sameShape } from './operators/elementwise.js';
import {
  batchNormalization,
  checkSoftmaxAxis,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  rootNormalization,
  softmax,
} from './operators/normalizations.js';
import { einsum } from './operators/equations.js';
import type { Operator } from './operators/operator.js';
import { concat, gather, pad, slice, split } from './operators/parts.js';
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from './operators/pools.js';
import { gemm, matmul } from './operators/products.js';
import { depthToSpace, expand, spaceToDepth, tile, transpose } from './operators/rearranging.js';
import { reducesPlaces, reduction } from './operators/reductions.js';
import { flatten, reshape, squeeze, unsqueeze } from './operators/reshaping.js';
import { resize } from './operators/resizing.js';
import { constantOfShape, oneHot, range, shapeOperator, size } from './operators/shapeValues.js';
import { clippedNumbers, combinedNumbers, eachNumber } from './operators/wholeNumbers.js';

/**
 * Every operator that ort-tl knows, and all it knows of each but its gradient (see autodiff/registry.ts), in alphabetical order.
 * An operator that is not here passes through as it is, where nothing before it trains.
 */
export const OPERATORS: readonly Operator[] = [
  elementwise('Abs', { integers: eachNumber(Math.abs) }),
  add,
  comparing('And', (a, b) => a !== 0 && b !== 0),
  averagePool,
  batchNormalization,
  cast,
  sameShape('Ceil', { integers: eachNumber(Math.ceil) }),
  elementwise('Celu'),
  elementwise('Clip', {
    onceAttributes: { until: 11, kinds: { min: 'float', max: 'float' } },
    cutsOff: true,
    integers: clippedNumbers,
  }),
  concat,
  constantOfShape,
  conv,
  convTranspose,
  sameShape('Cos'),
  sameShape('CumSum'),
  depthToSpace,
  div,
  dropout,
  einsum,
  elementwise('Elu'),
  comparing('Equal', (a, b) => a === b),
  elementwise('Erf'),
  elementwise('Exp'),
  expand,
  sameShape('FastGelu', { domains: [MICROSOFT], broadcasts: true }),
  flatten,
  sameShape('Floor', { integers: eachNumber(Math.floor) }),
  gather,
  elementwise('Gelu', { domains: ['', MICROSOFT] }),
  gemm,
  globalAveragePool,
  globalMaxPool,
  comparing('Greater', (a, b) => a > b),
  comparing('GreaterOrEqual', (a, b) => a >= b),
  groupNormalization,
  softmax('Hardmax'),
  elementwise('HardSigmoid'),
  elementwise('HardSwish'),
  sameShape('Identity', { integers: ({ numbers }) => numbers(0), isAlias: true, passesOn: true }),
  instanceNormalization,
  sameShape('IsInf', { dtype: () => 'bool' }),
  sameShape('IsNaN', { dtype: () => 'bool' }),
  layerNormalization,
  elementwise('LeakyRelu'),
  comparing('Less', (a, b) => a < b),
  comparing('LessOrEqual', (a, b) => a <= b),
  sameShape('Log'),
  softmax('LogSoftmax', { check: checkSoftmaxAxis }),
  sameShape('LpNormalization'),
  sameShape('LRN'),
  matmul,
  { ...ofTwoNumbers('Max', (a, b) => Math.max(a, b)), required: 1, isOfOneType: true },
  maxPool,
  broadcasting('Mean', { isOfOneType: true }),
  { ...ofTwoNumbers('Min', (a, b) => Math.min(a, b)), required: 1, isOfOneType: true },
  elementwise('Mish'),
  mod,
  mul,
  elementwise('Neg', { integers: eachNumber((number) => -number) }),
  sameShape('Not', { dtype: () => 'bool', integers: eachNumber((number) => (number === 0 ? 1 : 0)) }),
  oneHot,
  comparing('Or', (a, b) => a !== 0 || b !== 0),
  pad,
  ofTwoNumbers('Pow', Math.pow),
  prelu,
  elementwise('QuickGelu', { domains: [MICROSOFT] }),
  range,
  sameShape('Reciprocal'),
  reduction('ReduceL1'),
  reduction('ReduceL2'),
  reduction('ReduceLogSum'),
  reduction('ReduceLogSumExp'),
  reduction('ReduceMax', { integers: combinedNumbers(Math.max) }),
  reduction('ReduceMean', { poolsPlaces: reducesPlaces }),
  reduction('ReduceMin', { integers: combinedNumbers(Math.min) }),
  reduction('ReduceProd', { integers: combinedNumbers((total, number) => total * number) }),
  reduction(
    'ReduceSum',
    { poolsPlaces: reducesPlaces, integers: combinedNumbers((total, number) => total + number) },
    13,
  ),
  reduction('ReduceSumSquare'),
  elementwise('Relu', { cutsOff: true }),
  sameShape('ReorderInput', { domains: [BLOCKED] }),
  sameShape('ReorderOutput', { domains: [BLOCKED] }),
  reshape,
  resize,
  rootNormalization('RMSNormalization'),
  sameShape('Round'),
  sameShape('ScatterElements'),
  sameShape('ScatterND'),
  elementwise('Selu'),
  shapeOperator,
  elementwise('Sigmoid', { inWholeNumbers: true }),
  sameShape('Sign'),
  rootNormalization('SimplifiedLayerNormalization'),
  sameShape('Sin'),
  size,
  slice,
  softmax('Softmax', { check: checkSoftmaxAxis }),
  elementwise('Softplus'),
  elementwise('Softsign'),
  spaceToDepth,
  split,
  elementwise('Sqrt'),
  squeeze,
  sub,
  broadcasting('Sum', { isOfOneType: true }),
  elementwise('Swish'),
  elementwise('Tanh'),
  elementwise('ThresholdedRelu'),
  tile,
  { op: 'TopK', onceAttributes: { until: 10, kinds: { k: 'int' } } },
  transpose,
  unsqueeze,
  where,
  comparing('Xor', (a, b) => (a !== 0) !== (b !== 0)),
];

const byName = new Map(
  OPERATORS.flatMap((operator) =>
    (operator.domains ?? ['']).map((domain) => [`${domain}:${operator.op}`, operator] as const),
  ),
);

/** What ort-tl knows of a node's operator; undefined where it knows none of that name and domain. */
export function operatorOf({ op, domain }: Node): Operator | undefined {
  return byName.get(`${domain}:${op}`);
}
