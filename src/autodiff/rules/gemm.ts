import { concreteShape, type Value } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = α·A·B + β·C, with A and B transposed or not  ⇒  dA = α·dy·Bᵀ, dB = α·Aᵀ·dy, dC = β·dy summed to C's shape. */
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
      () => {
        const dc = g.unbroadcast(dy, concreteShape(input(2)));
        return beta === 1 ? dc : g.mul(dc, g.scalar(beta));
      },
    ];
  },
};
