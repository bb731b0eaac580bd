import type { Value } from '../../graph/graph.js';
import { type GradientRule, scaled } from '../rule.js';

/** y = α·A·B + β·C, with A and B transposed or not  ⇒  dA = α·dy·Bᵀ, dB = α·Aᵀ·dy, dC = β·dy. */
export const gemm: GradientRule = {
  op: 'Gemm',
  gradients: ({ node, input, dy, g }) => {
    const transA = node.int('transA', 0) === 1;
    const transB = node.int('transB', 0) === 1;
    const alpha = node.float('alpha', 1);
    const beta = node.float('beta', 1);
    const times = (a: Value, ta: boolean, b: Value, tb: boolean) => g.gemm(a, b, { transA: ta, transB: tb, alpha });
    return [
      () => (transA ? times(input(1), transB, dy, true) : times(dy, false, input(1), !transB)),
      () => (transB ? times(dy, true, input(0), transA) : times(input(0), !transA, dy, false)),
      () => scaled(dy, beta),
    ];
  },
};
