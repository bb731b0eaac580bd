import { BLOCKED, MICROSOFT } from './domains.js';
import type { Node } from './graph.js';
import { add, broadcasting, comparing, div, mul, sub, where } from './operators/arithmetic.js';
import { conv, convTranspose } from './operators/convolutions.js';
import { cast, dropout, elementwise, prelu, sameShape } from './operators/elementwise.js';
import {
  batchNormalization,
  checkSoftmaxAxis,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
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
import { constantOfShape, oneHot, shapeOperator } from './operators/shapeValues.js';

/**
 * Every operator that ort-tl knows, and all it knows of each but its gradient (see autodiff/registry.ts), in alphabetical order.
 * An operator that is not here passes through as it is, where nothing before it trains.
 */
export const OPERATORS: readonly Operator[] = [
  elementwise('Abs'),
  add,
  comparing('And'),
  averagePool,
  batchNormalization,
  cast,
  sameShape('Ceil'),
  elementwise('Celu'),
  elementwise('Clip', { onceAttributes: { until: 11, kinds: { min: 'float', max: 'float' } }, cutsOff: true }),
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
  comparing('Equal'),
  elementwise('Erf'),
  elementwise('Exp'),
  expand,
  sameShape('FastGelu', { domains: [MICROSOFT], broadcasts: true }),
  flatten,
  sameShape('Floor'),
  gather,
  elementwise('Gelu', { domains: ['', MICROSOFT] }),
  gemm,
  globalAveragePool,
  globalMaxPool,
  comparing('Greater'),
  comparing('GreaterOrEqual'),
  groupNormalization,
  softmax('Hardmax'),
  elementwise('HardSigmoid'),
  elementwise('HardSwish'),
  sameShape('Identity', { integers: ({ numbers }) => numbers(0), isAlias: true, passesOn: true }),
  instanceNormalization,
  layerNormalization,
  elementwise('LeakyRelu'),
  comparing('Less'),
  comparing('LessOrEqual'),
  sameShape('Log'),
  softmax('LogSoftmax', { check: checkSoftmaxAxis }),
  sameShape('LpNormalization'),
  sameShape('LRN'),
  matmul,
  broadcasting('Max', { isOfOneType: true }),
  maxPool,
  broadcasting('Mean', { isOfOneType: true }),
  broadcasting('Min', { isOfOneType: true }),
  elementwise('Mish'),
  broadcasting('Mod', { required: 2 }),
  mul,
  elementwise('Neg'),
  sameShape('Not', { dtype: () => 'bool' }),
  oneHot,
  comparing('Or'),
  pad,
  broadcasting('Pow', { required: 2 }),
  prelu,
  elementwise('QuickGelu', { domains: [MICROSOFT] }),
  sameShape('Reciprocal'),
  reduction('ReduceL1'),
  reduction('ReduceL2'),
  reduction('ReduceLogSum'),
  reduction('ReduceLogSumExp'),
  reduction('ReduceMax'),
  reduction('ReduceMean', { poolsPlaces: reducesPlaces }),
  reduction('ReduceMin'),
  reduction('ReduceProd'),
  reduction('ReduceSum', { poolsPlaces: reducesPlaces }, 13),
  reduction('ReduceSumSquare'),
  elementwise('Relu', { cutsOff: true }),
  sameShape('ReorderInput', { domains: [BLOCKED] }),
  sameShape('ReorderOutput', { domains: [BLOCKED] }),
  reshape,
  resize,
  sameShape('Round'),
  sameShape('ScatterElements'),
  sameShape('ScatterND'),
  elementwise('Selu'),
  shapeOperator,
  elementwise('Sigmoid', { inWholeNumbers: true }),
  sameShape('Sign'),
  sameShape('Sin'),
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
  comparing('Xor'),
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
