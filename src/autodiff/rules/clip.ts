import { dtypeCode } from '../../onnx/tensor.js';
import type { GradientRule } from '../rule.js';

/** y = min(max(x, low), high)  ⇒  dx = dy where nothing was cut off: x = y. */
export const clip: GradientRule = {
  op: 'Clip',
  gradients: ({ input, output, dy, g }) => [
    () => g.mul(dy, g.cast(g.equal(input(0), output()), dtypeCode('float32'))),
    undefined,
    undefined,
  ],
};
