import { int, ints, type Node, type Value } from '../graph.js';
import { numbersOfConstant } from '../integers.js';
import { NotStackable, type Stack } from './stack.js';

// How operators that take parts of a value, repeat it, or put one together, work on several images: see rules.ts.

export function concat(node: Node, stack: Stack): void {
  const rank = stack.shapeOf(node, node.output()).length;
  const axis = wrap(node.int('axis', 0), rank);
  const values = node.inputs.filter((input): input is Value => input !== undefined);
  if (axis > 0) {
    const inputs = values.map((input) => (stack.isStacked(input) ? input : stack.stackedCopies(node, input)));
    stack.keep(node.with({ inputs }));
    return;
  }
  const inputs = values.map((input) => (stack.isStacked(input) ? stack.apart(node, input) : stack.copies(node, input)));
  stack.keepApart(node, inputs, new Map([['axis', int(1)]]));
}

export function split(node: Node, stack: Stack): void {
  const rank = stack.shapeOf(node, node.input(0)).length;
  if (wrap(node.int('axis', 0), rank) > 0) stack.keep(node);
  else
    stack.keepApart(
      node,
      [stack.apart(node, node.input(0)), ...node.inputs.slice(1)],
      new Map([...node.attributes, ['axis', int(1)]]),
    );
}

export function slice(node: Node, stack: Stack): void {
  const from = stack.shapeOf(node, node.input(0));
  const to = stack.shapeOf(node, node.output());
  const [starts, ends] = [stack.constantOf(node, 1), stack.constantOf(node, 2)];
  const axes = (node.inputs[3] ? stack.constantOf(node, 3) : starts.map((_, index) => index)).map((axis) =>
    wrap(axis, from.length),
  );
  const steps = node.inputs[4] ? stack.constantOf(node, 4) : starts.map(() => 1);
  const written = (input: Value, places: readonly number[], first: number) => [
    input,
    ...[starts, ends].map((list) => stack.ints(places.map((place) => list[place] ?? 0))),
    stack.ints(places.map((place) => (axes[place] ?? 0) + first)),
    stack.ints(places.map((place) => steps[place] ?? 1)),
  ];
  const places = axes.map((_, place) => place);
  const others = places.filter((place) => axes[place] !== 0);
  const isWhole =
    others.length === places.length ||
    (from[0] === to[0] && steps[places.find((place) => axes[place] === 0) ?? 0] === 1);
  if (!isWhole) stack.keepApart(node, written(stack.apart(node, node.input(0)), places, 1));
  else if (others.length === places.length) stack.keep(node);
  else if (others.length > 0) stack.keep(node.with({ inputs: written(node.input(0), others, 0) }));
  else stack.reshape(node);
}

export function gather(node: Node, stack: Stack): void {
  const [data, places] = [node.input(0), node.input(1)];
  const rank = stack.shapeOf(node, data).length;
  const axis = wrap(node.int('axis', 0), rank);
  if (!stack.isStacked(data)) {
    // Each image looks its own rows up.
    if (axis > 0 || stack.shapeOf(node, places).length === 0) throw new NotStackable(node);
    stack.keep(node);
    return;
  }
  if (stack.isStacked(places)) throw new NotStackable(node);
  if (axis > 0) stack.keep(node);
  else if (stack.shapeOf(node, data)[0] === 1 && stack.shapeOf(node, places).length === 0) stack.reshape(node);
  else stack.keepApart(node, [stack.apart(node, data), places], new Map([['axis', int(1)]]));
}

export function tile(node: Node, stack: Stack): void {
  const repeats = stack.constantOf(node, 1);
  if (repeats[0] === 1) stack.keep(node);
  else stack.keepApart(node, [stack.apart(node, node.input(0)), stack.ints([1, ...repeats])]);
}

export function expand(node: Node, stack: Stack): void {
  const value = node.input(0);
  const [from, to] = [stack.shapeOf(node, value), stack.shapeOf(node, node.output())];
  if (from.length === to.length && from[0] === to[0]) {
    stack.keep(node.with({ inputs: [value, stack.ints([1, ...to.slice(1)])] }));
    return;
  }
  const padded = [...Array.from({ length: to.length - from.length }, () => 1), ...from];
  stack.keepApart(node, [stack.apart(node, value, padded), stack.ints([1, ...to])]);
}

export function pad(node: Node, stack: Stack): void {
  const rank = stack.shapeOf(node, node.input(0)).length;
  const pads = stack.constantOf(node, 1);
  const axes = node.inputs[3]
    ? stack.constantOf(node, 3).map((axis) => wrap(axis, rank))
    : pads.slice(0, rank).map((_, axis) => axis);
  const first = axes.indexOf(0);
  const isLeft = first < 0 || (pads[first] === 0 && pads[first + axes.length] === 0);
  const [value, , fill] = node.inputs;
  if (isLeft) stack.keep(node);
  else
    stack.keepApart(node, [
      value && stack.apart(node, value),
      stack.ints(pads),
      fill,
      stack.ints(axes.map((axis) => axis + 1)),
    ]);
}

/** Sizes [1, …] of all axes become those of the axes behind the images'. */
export function resize(node: Node, stack: Stack): void {
  const [value, region, scales, sizes] = node.inputs;
  const from = stack.shapeOf(node, node.input(0));
  if (from[0] !== stack.shapeOf(node, node.output())[0]) throw new NotStackable(node);
  if (!sizes?.constant || node.ints('axes') || scales?.constant?.data.length) {
    stack.keep(node);
    return;
  }
  const attributes = new Map([...node.attributes, ['axes', ints(from.slice(1).map((_, axis) => axis + 1))] as const]);
  const usedRegion = node.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize';
  if (region && usedRegion) throw new NotStackable(node);
  const inputs = [value, undefined, undefined, stack.ints(numbersOfConstant(sizes.constant).slice(1))];
  stack.keep(node.with({ inputs, attributes }));
}

const wrap = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);
