import { dtypeCode } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/** y = x as another type  ⇒  dx = dy as x's type. No gradient reaches it from integers. */
export const cast: GradientRule = {
  op: 'Cast',
  gradients: ({ input, dy, g }) => [
    () => (input(0).dtype === dy.dtype ? dy : g.cast(dy, dtypeCode(input(0).dtype ?? 'float32'))),
  ],
};
