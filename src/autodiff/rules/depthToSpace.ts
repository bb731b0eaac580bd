import { concreteShape, int } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** y = x with b² channels laid out as b×b pixels  ⇒  dx = dy with its b×b pixels back in channels. */
export const depthToSpace: GradientRule = {
  op: 'DepthToSpace',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const blocksize = node.int('blocksize', 1);
      if (node.string('mode', 'DCR') === 'DCR') return g.op('SpaceToDepth', [dy], { blocksize: int(blocksize) });
      // CRD: the channel counts slowest, as in PyTorch's pixel_shuffle.
      const shape = concreteShape(input(0));
      const [images = 0, channels = 0, height = 0, width = 0] = shape;
      const pixels = g.reshape(dy, [images, channels / blocksize ** 2, height, blocksize, width, blocksize]);
      return g.reshape(g.transpose(pixels, [0, 1, 3, 5, 2, 4]), shape);
    },
  ],
};

/** y = x with b×b pixels laid out as b² channels  ⇒  dx = dy with these channels back as pixels. */
export const spaceToDepth: GradientRule = {
  op: 'SpaceToDepth',
  gradients: ({ node, dy, g }) => [() => g.op('DepthToSpace', [dy], { blocksize: int(node.int('blocksize', 1)) })],
};
