import { at, isNumber, whole, wrap } from '../dims.js';
import { type Dim, describe, int, type Node, sameDim, type Shape, showShape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';
import { takenNumbers } from './wholeNumbers.js';

// Operators that take parts of a value, or put one together from parts.

export const concat: Operator = {
  op: 'Concat',
  isOfOneType: true,
  shape: concatenated,
  integers: ({ node, numbers }) => {
    const parts = node.inputs.map((_, index) => numbers(index));
    const isInTurn = node.inputs.every((input) => input?.shape?.length === 1) || node.int('axis', 0) === 0;
    return isInTurn && parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  },
};

export const gather: Operator = {
  op: 'Gather',
  required: 2,
  shape: gathered,
  integers: (context) => {
    const { node, numbers } = context;
    const [from, indices, shape] = [numbers(0), numbers(1), node.inputs[0]?.shape];
    if (!from || !indices?.every(isNumber) || !shape?.every(isNumber)) return undefined;
    const along = wrap(node.int('axis', 0), shape.length);
    const places = shape.map((length, axis) =>
      axis === along ? indices.map((index) => (index < 0 ? index + length : index)) : upTo(length),
    );
    return takenNumbers(from, shape, places);
  },
};

export const pad: Operator = {
  op: 'Pad',
  integerInputs: [1, 3],
  shape: padded,
  onceAttributes: { until: 11, kinds: { pads: 'ints', value: 'float' } },
};

export const slice: Operator = {
  op: 'Slice',
  required: 3,
  integerInputs: [1, 2, 3, 4],
  shape: sliced,
  integers: (context) => {
    const { node, numbers } = context;
    const [from, shape] = [numbers(0), node.inputs[0]?.shape];
    const windows = from && shape && windowsOf(context);
    if (!shape?.every(isNumber) || !windows) return undefined;
    const places = shape.map((length, axis) => {
      const window = windows.find((each) => each.axis === axis);
      return window ? placesOf(length, window) : upTo(length);
    });
    return takenNumbers(from, shape, places);
  },
  onceAttributes: { until: 10, kinds: { starts: 'ints', ends: 'ints', axes: 'ints' } },
};

export const split: Operator = {
  op: 'Split',
  integerInputs: [1],
  shapes: splitUp,
  onceAttributes: { until: 13, kinds: { split: 'ints' } },
  upgrade: (node, from) => {
    if (from < 18 && !node.inputs[1]) node.setAttribute('num_outputs', int(node.outputs.length));
  },
};

const upTo = (length: number) => Array.from({ length }, (_, index) => index);

/** What a Slice takes of an axis. */
interface Window {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The windows of a Slice; undefined where they are not known. */
function windowsOf({ node, shape, numbers }: ShapeContext): Window[] | undefined {
  const [starts, ends] = [numbers(1), numbers(2)];
  const axes = node.inputs[3] ? numbers(3) : starts?.map((_, index) => index);
  const steps = node.inputs[4] ? numbers(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  return axes.map((axis, index) => {
    const [start, end, step] = [whole(node, starts[index]), whole(node, ends[index]), whole(node, steps[index])];
    return { axis: wrap(whole(node, axis), shape(0).length), start, end, step };
  });
}

/** The places that a window takes of `length`, in its order. */
function placesOf(length: number, { start, end, step }: Window): number[] {
  const [lowest, highest] = step < 0 ? [-1, length - 1] : [0, length];
  const clamp = (place: number) => Math.min(highest, Math.max(lowest, place < 0 ? place + length : place));
  const count = step === 0 ? 0 : Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step));
  return Array.from({ length: count }, (_, index) => clamp(start) + index * step);
}

function concatenated({ node, shape }: ShapeContext): Shape {
  const shapes = node.inputs.map((_, index) => shape(index));
  const first = at(shapes, 0);
  const along = wrap(node.int('axis', 0), first.length);
  return first.map((dim, axis) => {
    if (axis !== along) {
      if (shapes.some((other) => other.length !== first.length || !sameDim(at(other, axis), dim)))
        throw new Error(`${describe(node)} cannot join ${shapes.map(showShape).join(' and ')} along axis ${along}`);
      return dim;
    }
    return shapes.reduce((sum, other) => sum + whole(node, other[axis]), 0);
  });
}

function gathered({ node, shape }: ShapeContext): Shape {
  const from = shape(0);
  const axis = wrap(node.int('axis', 0), from.length);
  return [...from.slice(0, axis), ...shape(1), ...from.slice(axis + 1)];
}

function sliced(context: ShapeContext): Shape | undefined {
  const { node, shape } = context;
  const windows = windowsOf(context);
  const result: Dim[] = [...shape(0)];
  for (const window of windows ?? []) {
    const { axis, start, end, step } = window;
    const dim = at(shape(0), axis);
    if (isNumber(dim) || start !== 0 || end < 2 ** 31 - 1 || step !== 1)
      result[axis] = placesOf(whole(node, dim), window).length;
  }
  return windows && result;
}

function padded({ node, shape, numbers }: ShapeContext): Shape | undefined {
  const from = shape(0);
  const pads = numbers(1);
  const axes = node.inputs[3] ? numbers(3) : from.map((_, axis) => axis);
  if (!pads || !axes) return undefined;
  const result: Dim[] = [...from];
  axes.forEach((each, index) => {
    const axis = wrap(whole(node, each), from.length);
    const added = whole(node, pads[index]) + whole(node, pads[index + axes.length]);
    if (added !== 0) result[axis] = whole(node, from[axis]) + added;
  });
  return result;
}

function splitUp({ node, shape, numbers }: ShapeContext): Shape[] | undefined {
  const from = shape(0);
  const along = wrap(node.int('axis', 0), from.length);
  const stated = node.inputs[1] ? numbers(1) : evenParts(node, from[along]);
  return stated?.map((part) => from.map((dim, axis) => (axis === along ? part : dim)));
}

/** An axis in as many parts as the node has outputs, the last one smaller where it does not come out even. */
function evenParts(node: Node, dim: Dim | undefined): number[] {
  const count = node.int('num_outputs', node.outputs.length);
  const length = whole(node, dim);
  const part = Math.ceil(length / count);
  return Array.from({ length: count }, (_, index) => Math.max(0, Math.min(part, length - index * part)));
}
