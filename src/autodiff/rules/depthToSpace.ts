import { concreteShape } from '../../graph/graph.js';
import type { GradientRule } from '../rule.js';

/** Channels spread over blocks of space  ⇒  dy gathered from them: depth first (DCR) or column and row first (CRD). */
export const depthToSpace: GradientRule = {
  op: 'DepthToSpace',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const [images = 0, channels = 0, height = 0, width = 0] = concreteShape(input(0));
      const block = node.int('blocksize', 1);
      const depth = channels / block ** 2;
      const cells = g.reshape(dy, [images, depth, height, block, width, block]);
      const order = node.string('mode', 'DCR') === 'CRD' ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4];
      return g.reshape(g.transpose(cells, order), [images, channels, height, width]);
    },
  ],
};

/** Blocks of space gathered into channels  ⇒  dy spread over them again. */
export const spaceToDepth: GradientRule = {
  op: 'SpaceToDepth',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const [images = 0, depth = 0, height = 0, width = 0] = shape;
      const block = node.int('blocksize', 1);
      const cells = g.reshape(dy, [images, block, block, depth, height / block, width / block]);
      return g.reshape(g.transpose(cells, [0, 3, 4, 1, 5, 2]), shape);
    },
  ],
};
