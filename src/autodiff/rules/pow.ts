import type { Builder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import { dtypeCode, toNumbers } from '../../onnx/tensor.js';
import { clip } from '../piecewise.js';
import type { GradientRule } from '../rule.js';

/**
 * y = aᵇ  ⇒  da = dy · b · aᵇ⁻¹, db = dy · y · ln a, for a ≥ 0 where b trains. As in PyTorch, db is 0 where a is 0, and da
 * where b is the constant 0.
 */
export const pow: GradientRule = {
  op: 'Pow',
  gradients: ({ input, output, dy, g }) => [
    () => g.mul(dy, slope(g, input(0), input(1))),
    () => g.mul(dy, g.mul(output(), g.log(clip(g, input(0), SMALLEST)))),
  ],
};

/** Below it float32 loses digits; its logarithm times 0 is 0. */
const SMALLEST = 1.2e-38;

/** b · aᵇ⁻¹ */
function slope(g: Builder, a: Value, b: Value): Value {
  const exponents = b.constant ? toNumbers(b.constant) : [];
  const [exponent] = exponents;
  if (exponents.length !== 1 || exponent === undefined) {
    const float = b.dtype === 'float32' ? b : g.cast(b, dtypeCode('float32'));
    return g.mul(float, g.pow(a, g.sub(float, g.scalar(1))));
  }
  if (exponent === 0) return g.scalar(0);
  return g.mul(g.scalar(exponent), exponent === 2 ? a : g.pow(a, g.scalar(exponent - 1)));
}
