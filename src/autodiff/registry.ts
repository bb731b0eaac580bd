import type { Node } from '../graph/graph.js';
import type { GradientRule } from './rule.js';
import { add } from './rules/add.js';
import { clip } from './rules/clip.js';
import { concat } from './rules/concat.js';
import { conv } from './rules/conv.js';
import { div } from './rules/div.js';
import { gemm } from './rules/gemm.js';
import { globalAveragePool } from './rules/globalAveragePool.js';
import { identity } from './rules/identity.js';
import { logSoftmax } from './rules/logSoftmax.js';
import { matmul } from './rules/matmul.js';
import { maxPool } from './rules/maxPool.js';
import { mul } from './rules/mul.js';
import { neg } from './rules/neg.js';
import { quickGelu } from './rules/quickGelu.js';
import { reduceMean, reduceSum } from './rules/reduce.js';
import { relu } from './rules/relu.js';
import { flatten, reshape, squeeze, unsqueeze } from './rules/reshape.js';
import { sigmoid } from './rules/sigmoid.js';
import { softmax } from './rules/softmax.js';
import { sub } from './rules/sub.js';
import { tanh } from './rules/tanh.js';
import { transpose } from './rules/transpose.js';

/** Every operator that a gradient can pass through. */
export const rules: readonly GradientRule[] = [
  add,
  clip,
  concat,
  conv,
  div,
  flatten,
  gemm,
  globalAveragePool,
  identity,
  logSoftmax,
  matmul,
  maxPool,
  mul,
  neg,
  quickGelu,
  reduceMean,
  reduceSum,
  relu,
  reshape,
  sigmoid,
  softmax,
  squeeze,
  sub,
  tanh,
  transpose,
  unsqueeze,
];

const byName = new Map(rules.map((rule) => [`${rule.domain ?? ''}:${rule.op}`, rule]));

export function ruleFor(node: Node): GradientRule | undefined {
  return byName.get(`${node.domain}:${node.op}`);
}
