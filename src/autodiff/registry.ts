import type { Node } from '../graph/graph.js';
import type { GradientRule } from './rule.js';
import { abs } from './rules/abs.js';
import { add } from './rules/add.js';
import { averagePool } from './rules/averagePool.js';
import { batchNormalization } from './rules/batchNormalization.js';
import { blockedConvRule } from './rules/blockedConv.js';
import { cast } from './rules/cast.js';
import { clip } from './rules/clip.js';
import { concat } from './rules/concat.js';
import { conv } from './rules/conv.js';
import { convTranspose } from './rules/convTranspose.js';
import { depthToSpace, spaceToDepth } from './rules/depthToSpace.js';
import { div } from './rules/div.js';
import { dropout } from './rules/dropout.js';
import { einsum } from './rules/einsum.js';
import { celu, elu, selu } from './rules/elu.js';
import { erf } from './rules/erf.js';
import { exp } from './rules/exp.js';
import { expand } from './rules/expand.js';
import { max, min } from './rules/extremum.js';
import { gather } from './rules/gather.js';
import { fastGelu, gelu, microsoftGelu } from './rules/gelu.js';
import { gemm } from './rules/gemm.js';
import { globalAveragePool } from './rules/globalAveragePool.js';
import { globalMaxPool } from './rules/globalMaxPool.js';
import { hardSigmoid } from './rules/hardSigmoid.js';
import { hardSwish } from './rules/hardSwish.js';
import { identity } from './rules/identity.js';
import { leakyRelu } from './rules/leakyRelu.js';
import { log } from './rules/log.js';
import { logSoftmax } from './rules/logSoftmax.js';
import { lpNormalization } from './rules/lpNormalization.js';
import { lrn } from './rules/lrn.js';
import { matmul } from './rules/matmul.js';
import { maxPool } from './rules/maxPool.js';
import { mish } from './rules/mish.js';
import { mul } from './rules/mul.js';
import { neg } from './rules/neg.js';
import {
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  rmsNormalization,
  simplifiedLayerNormalization,
} from './rules/normalization.js';
import { pad } from './rules/pad.js';
import { pow } from './rules/pow.js';
import { prelu } from './rules/prelu.js';
import { quickGelu, swish } from './rules/quickGelu.js';
import { reciprocal } from './rules/reciprocal.js';
import {
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceSum,
  reduceSumSquare,
} from './rules/reduce.js';
import { relu } from './rules/relu.js';
import { reorderInput, reorderOutput } from './rules/reorder.js';
import { flatten, reshape, squeeze, unsqueeze } from './rules/reshape.js';
import { resize } from './rules/resize.js';
import { ceil, floor, round, sign } from './rules/rounding.js';
import { sigmoid } from './rules/sigmoid.js';
import { slice } from './rules/slice.js';
import { softmax } from './rules/softmax.js';
import { softplus } from './rules/softplus.js';
import { softsign } from './rules/softsign.js';
import { split } from './rules/split.js';
import { sqrt } from './rules/sqrt.js';
import { sub } from './rules/sub.js';
import { mean, sum } from './rules/sum.js';
import { tanh } from './rules/tanh.js';
import { thresholdedRelu } from './rules/thresholdedRelu.js';
import { tile } from './rules/tile.js';
import { transpose } from './rules/transpose.js';
import { where } from './rules/where.js';

/** Every operator that a gradient can pass through. */
export const rules: readonly GradientRule[] = [
  abs,
  add,
  averagePool,
  batchNormalization,
  blockedConvRule,
  cast,
  ceil,
  celu,
  clip,
  concat,
  conv,
  convTranspose,
  depthToSpace,
  div,
  dropout,
  einsum,
  elu,
  erf,
  exp,
  expand,
  fastGelu,
  flatten,
  floor,
  gather,
  gelu,
  gemm,
  globalAveragePool,
  globalMaxPool,
  groupNormalization,
  hardSigmoid,
  hardSwish,
  identity,
  instanceNormalization,
  layerNormalization,
  leakyRelu,
  log,
  logSoftmax,
  lpNormalization,
  lrn,
  matmul,
  max,
  maxPool,
  mean,
  microsoftGelu,
  min,
  mish,
  mul,
  neg,
  pad,
  pow,
  prelu,
  quickGelu,
  reciprocal,
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceSum,
  reduceSumSquare,
  relu,
  reorderInput,
  reorderOutput,
  reshape,
  resize,
  rmsNormalization,
  round,
  selu,
  sigmoid,
  sign,
  simplifiedLayerNormalization,
  slice,
  softmax,
  softplus,
  softsign,
  spaceToDepth,
  split,
  sqrt,
  squeeze,
  sub,
  sum,
  swish,
  tanh,
  thresholdedRelu,
  tile,
  transpose,
  unsqueeze,
  where,
];

const byName = new Map(rules.map((rule) => [`${rule.domain ?? ''}:${rule.op}`, rule]));

export function ruleFor(node: Node): GradientRule | undefined {
  return byName.get(`${node.domain}:${node.op}`);
}
