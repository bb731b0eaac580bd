import { whole, wrap } from '../dims.js';
import type { Node, Shape } from '../graph.js';
import type { Operator, ShapeContext } from './operator.js';

/** A reduction over the axes of input 1, or over all, which were an attribute before operator set `until`. */
export function reduction(op: string, facts: Pick<Operator, 'poolsPlaces' | 'integers'> = {}, until = 18): Operator {
  return { op, shape: reduced, onceAttributes: { until, kinds: { axes: 'ints' } }, ...facts };
}

/** Whether a reduction of a map [N, C, H, W] goes over H and W alone. */
export function reducesPlaces(node: Node): boolean {
  const axes = axesOf(node)?.map((axis) => (axis < 0 ? axis + 4 : axis));
  return axes?.length === 2 && axes.includes(2) && axes.includes(3);
}

function axesOf(node: Node): readonly number[] | undefined {
  const constant = node.inputs[1]?.constant;
  return constant ? Array.from(constant.data, Number) : node.ints('axes');
}

function reduced({ node, shape, numbers }: ShapeContext): Shape | undefined {
  const from = shape(0);
  const axes = node.inputs[1] ? numbers(1) : (node.ints('axes') ?? []);
  if (!axes) return undefined;
  if (axes.length === 0 && node.int('noop_with_empty_axes', 0) === 1) return from;
  const chosen = axes.map((axis) => wrap(whole(node, axis), from.length));
  const isReduced = (axis: number) => axes.length === 0 || chosen.includes(axis);
  const keeps = node.int('keepdims', 1) === 1;
  return from.flatMap((dim, axis) => (isReduced(axis) ? (keeps ? [1] : []) : [dim]));
}
