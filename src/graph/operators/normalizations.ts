import { wrap } from '../dims.js';
import { int, type Node, type Shape } from '../graph.js';
import { checkAxis, checkVector } from '../nodeChecks.js';
import { sameShape } from './elementwise.js';
import type { Operator, ShapeContext } from './operator.js';

/** A scale for each channel, and a shift: inputs 1 and 2. */
const SCALE_AND_SHIFT = [1, 2];

export const batchNormalization: Operator = sameShape('BatchNormalization', {
  required: 5,
  vectors: SCALE_AND_SHIFT,
  check: (node) => checkVectors(node, [1, 2, 3, 4]),
  laterAttributes: { training_mode: { since: 14, usual: 0 } },
  upgrade: (node, from) => {
    // Before operator set 14, writing the statistics out beside the result was what said that it trains.
    if (from < 14 && node.outputs.slice(1).some((output) => output)) node.setAttribute('training_mode', int(1));
    node.outputs = node.outputs.slice(0, 1);
  },
});

export const instanceNormalization: Operator = sameShape('InstanceNormalization', {
  required: 3,
  vectors: SCALE_AND_SHIFT,
  check: (node) => checkVectors(node, SCALE_AND_SHIFT),
});

export const groupNormalization: Operator = sameShape('GroupNormalization', { required: 3, vectors: SCALE_AND_SHIFT });

/** Its scale and shift are broadcast. */
export const layerNormalization: Operator = {
  op: 'LayerNormalization',
  required: 2,
  broadcasts: true,
  vectors: SCALE_AND_SHIFT,
  shapes: (context) => {
    const statistics = layerStatistics(context);
    return [context.shape(0), statistics, statistics];
  },
};

/** A normalization by the root of the mean square, whose scale is broadcast. */
export function rootNormalization(op: string): Operator {
  return {
    op,
    required: 2,
    broadcasts: true,
    vectors: [1],
    shapes: (context) => [context.shape(0), layerStatistics(context)],
  };
}

/** An operator that normalizes along an axis, the last one unless the node says. */
export function softmax(op: string, facts: Pick<Operator, 'check'> = {}): Operator {
  return sameShape(op, {
    onceFlattened: true,
    upgrade: (node, from) => {
      // Before operator set 13 the default axis was 1; see also refuseFlattenedSoftmax.
      if (from < 13 && !node.attributes.has('axis')) node.setAttribute('axis', int(1));
    },
    ...facts,
  });
}

export const checkSoftmaxAxis = (node: Node) => checkAxis(node, node.int('axis', -1));

function checkVectors(node: Node, indices: readonly number[]): void {
  for (const index of indices) checkVector(node, index, node.input(0).shape?.[1]);
}

/** The shape of a LayerNormalization's means: its input's, with the normalized axes 1. */
function layerStatistics({ node, shape }: ShapeContext): Shape {
  const from = shape(0);
  const first = wrap(node.int('axis', -1), from.length);
  return from.map((dim, axis) => (axis < first ? dim : 1));
}
