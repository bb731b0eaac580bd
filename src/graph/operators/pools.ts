import { convGeometry } from '../convGeometry.js';
import { at, whole } from '../dims.js';
import { BLOCKED } from '../domains.js';
import { describe, type Shape, showShape } from '../graph.js';
import { checkGeometry } from '../nodeChecks.js';
import type { Operator, ShapeContext } from './operator.js';

export const averagePool: Operator = {
  op: 'AveragePool',
  check: checkGeometry,
  shape: windowed,
  inWholeNumbers: true,
};

export const maxPool: Operator = {
  op: 'MaxPool',
  check: checkGeometry,
  shape: windowed,
  otherDTypes: ['int64'],
  inWholeNumbers: true,
};

export const globalAveragePool: Operator = {
  op: 'GlobalAveragePool',
  domains: ['', BLOCKED],
  shape: onePlace,
  poolsPlaces: () => true,
  inWholeNumbers: true,
};

export const globalMaxPool: Operator = { op: 'GlobalMaxPool', shape: onePlace };

/** The shape of what a window over the spatial axes gives, with the channels of the input. */
export function windowed({ node, shape }: ShapeContext): Shape {
  const from = shape(0);
  const { kernel, strides, dilations, pads } = convGeometry(node);
  const round = node.int('ceil_mode', 0) === 1 ? Math.ceil : Math.floor;
  const spatial = kernel.map((k, axis) => {
    const length = whole(node, from[axis + 2]);
    const [begin, end] = [at(pads, axis), at(pads, axis + kernel.length)];
    const count = round((length + begin + end - at(dilations, axis) * (k - 1) - 1) / at(strides, axis)) + 1;
    // A window that would begin in the padding after the input is dropped (ceil_mode).
    const result = round === Math.ceil && (count - 1) * at(strides, axis) >= length + begin ? count - 1 : count;
    if (result < 1) throw new Error(`${describe(node)} leaves nothing of ${showShape(from)}; larger images are needed`);
    return result;
  });
  return [...from.slice(0, 2), ...spatial];
}

function onePlace({ shape }: ShapeContext): Shape {
  return shape(0).map((dim, axis) => (axis < 2 ? dim : 1));
}
