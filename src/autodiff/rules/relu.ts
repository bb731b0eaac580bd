import { dtypeCode } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/** y = max(x, 0)  ⇒  dx = dy where y > 0. Keeps y, not x. */
export const relu: GradientRule = {
  op: 'Relu',
  gradients: ({ output, dy, g }) => [() => g.mul(dy, g.cast(g.greater(output(), g.scalar(0)), dtypeCode('float32')))],
};
