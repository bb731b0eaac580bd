import type { Builder } from '../../graph/builder.js';
import { concreteShape, type Value } from '../../graph/graph.js';
import { elementCount } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/**
 * y = a·b over the last two axes, leading axes broadcast  ⇒  da = dy·bᵀ, db = aᵀ·dy. A vector counts as a row on the left
 * and as a column on the right. Where b is one matrix, all rows of a are multiplied at once: no sum over leading axes.
 */
export const matmul: GradientRule = {
  op: 'MatMul',
  gradients: ({ input, dy, g }) => {
    const [aShape, bShape] = [concreteShape(input(0)), concreteShape(input(1))];
    const [left, right] = [
      aShape.length === 1 ? [1, ...aShape] : aShape,
      bShape.length === 1 ? [...bShape, 1] : bShape,
    ];
    const [rows = 1, inner = 1] = left.slice(-2);
    const columns = right.at(-1) ?? 1;
    if (right.length === 2) {
      const all = elementCount(left) / inner;
      const dyRows = () => g.reshape(dy, [all, columns]);
      return [
        () => g.reshape(g.gemm(dyRows(), g.reshape(input(1), right), { transB: true }), aShape),
        () => g.reshape(g.gemm(g.reshape(input(0), [all, inner]), dyRows(), { transA: true }), bShape),
      ];
    }
    const lead = concreteShape(dy).slice(0, aShape.length === 1 ? -1 : -2);
    const dyMatrix = () => g.reshape(dy, [...lead, rows, columns]);
    return [
      () => g.matmul(dyMatrix(), swapLast(g, input(1))),
      () => g.matmul(swapLast(g, g.reshape(input(0), left)), dyMatrix()),
    ];
  },
};

function swapLast(g: Builder, x: Value): Value {
  const axes = concreteShape(x).map((_, axis) => axis);
  return g.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}
