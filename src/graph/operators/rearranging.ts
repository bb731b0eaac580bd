import { broadcastShapes } from '../broadcast.js';
import { at, isNumber, whole } from '../dims.js';
import { describe, type Node, type Shape, showShape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';
import { expandedNumbers, turnedNumbers } from './wholeNumbers.js';

// Operators that put the same numbers elsewhere, or repeat them.

export const depthToSpace: Operator = { op: 'DepthToSpace', shape: withPixels };
export const spaceToDepth: Operator = { op: 'SpaceToDepth', shape: withDepth };

export const expand: Operator = {
  op: 'Expand',
  required: 2,
  broadcasts: true,
  integerInputs: [1],
  shape: ({ shape, numbers }) => numbers(1) && broadcastShapes([shape(0), numbers(1) ?? []]),
  integers: expandedNumbers,
};

export const tile: Operator = { op: 'Tile', required: 2, integerInputs: [1], shape: tiled };

export const transpose: Operator = {
  op: 'Transpose',
  shape: transposed,
  integers: ({ node, numbers }) => {
    const [from, shape] = [numbers(0), node.inputs[0]?.shape];
    return from && shape?.every(isNumber) ? turnedNumbers(from, shape, orderOf(node, shape)) : undefined;
  },
};

const orderOf = (node: Node, { length }: Shape) =>
  node.ints('perm') ?? Array.from({ length }, (_, axis) => length - 1 - axis);

function transposed({ node, shape }: ShapeContext): Shape {
  const from = shape(0);
  const permutation = orderOf(node, from);
  if (permutation.length !== from.length || new Set(permutation).size !== from.length)
    throw new Error(`${describe(node)} cannot transpose ${showShape(from)} by [${permutation.join(', ')}]`);
  return permutation.map((axis) => at(from, axis));
}

function tiled({ node, shape, numbers }: ShapeContext): Shape | undefined {
  const repeats = numbers(1);
  return (
    repeats &&
    shape(0).map((dim, axis) => {
      const count = whole(node, repeats[axis]);
      return isNumber(dim) ? dim * count : { batch: dim.batch * count };
    })
  );
}

function withPixels({ node, shape }: ShapeContext): Shape {
  const [images = 0, channels, height, width] = shape(0);
  const block = node.int('blocksize', 1);
  return [images, whole(node, channels) / block ** 2, whole(node, height) * block, whole(node, width) * block];
}

function withDepth({ node, shape }: ShapeContext): Shape {
  const [images = 0, channels, height, width] = shape(0);
  const block = node.int('blocksize', 1);
  return [images, whole(node, channels) * block ** 2, whole(node, height) / block, whole(node, width) / block];
}
