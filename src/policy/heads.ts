import type { Graph, Node, Value } from '../graph/graph.js';
import { axisBehind, channelAxes } from './classAxis.js';

/** An input of a node that has a row for each class, along `axis`. */
export interface ClassRows {
  readonly node: Node;
  readonly input: number;
  readonly axis: number;
}

/** What gives a classifier's scores, and what behind it has to change with the number of classes. */
export interface Heads {
  /** The nodes that give the scores, in their order; several where their scores are added or averaged. */
  readonly nodes: readonly Node[];
  /** The nodes between them and the result that normalize along the classes. */
  readonly normalizations: readonly Node[];
  /** A node that divides scores by their norm, or by another number that is made of them. */
  readonly divides: Node | undefined;
  /** Whether an activation other than Relu lies between, as behind the last convolution of features. */
  readonly bends: boolean;
  /** An input of the result that no such node leads to. */
  readonly stray: Value | undefined;
}

const NORMALIZING = /^(Batch|Group|Instance|Layer|MeanVariance|RMS|SimplifiedLayer)Normalization$/;

const BENDING: ReadonlySet<string> = new Set(
  ['Clip', 'Elu', 'Gelu', 'HardSwish', 'LeakyRelu', 'Mish', 'PRelu', 'QuickGelu', 'Selu', 'Swish', 'Tanh'].concat([
    'Sigmoid',
  ]),
);

/**
 * Goes back from the scores, [N, classes], to what gives them: layers for which `isHead` holds, whose outputs are the classes, through
 * operators that keep each class apart. Nodes of `fixed` compute from constants alone.
 */
export function findHeads(logits: Value, isHead: (node: Node) => boolean, fixed: ReadonlySet<Node>): Heads {
  const isData = (value: Value | undefined): value is Value =>
    value !== undefined && !value.constant && !(value.producer && fixed.has(value.producer));
  const nodes = new Set<Node>();
  const normalizations: Node[] = [];
  let divides: Node | undefined;
  let stray: Value | undefined;
  let bends = false;
  const seen = new Set<Value>();
  const goBack = (value: Value, axis: number): void => {
    if (seen.has(value)) return;
    seen.add(value);
    const node = value.producer;
    if (!node) {
      stray ??= value;
      return;
    }
    const weights = node.inputs.findIndex((_, index) => channelAxes(node, index)?.result === axis);
    if (weights >= 0 && isHead(node)) {
      nodes.add(node);
      return;
    }
    bends ||= BENDING.has(node.op);
    if (NORMALIZING.test(node.op)) normalizations.push(node);
    if (node.op === 'LpNormalization') divides ??= node;
    const sources = node.inputs.flatMap((input, index) => {
      const before = isData(input) ? axisBefore(node, index, axis) : undefined;
      return input && before !== undefined ? [{ input, before }] : [];
    });
    if (sources.length === 0) stray ??= value;
    // The other factor is a number for each image: what normalizes.
    if (['Div', 'Mul'].includes(node.op) && sources.length === 1 && node.inputs.every(isData)) divides ??= node;
    for (const { input, before } of sources) goBack(input, before);
  };
  const rank = logits.shape?.length ?? 0;
  if (rank > 1) goBack(logits, 1);
  return { nodes: [...nodes], normalizations, divides, bends, stray };
}

/** Where in input `index` the axis `axis` of a node's result comes from. */
function axisBefore(node: Node, index: number, axis: number): number | undefined {
  const shape = node.inputs[index]?.shape ?? [];
  const found = shape.findIndex((_, before) => axisBehind(node, index, before) === axis);
  return found < 0 ? undefined : found;
}

/** What has as many rows as there are classes, in a graph whose scores `heads` give. */
export interface Classwise {
  /** Inputs of nodes that are constants with a row for each class. */
  readonly rows: readonly ClassRows[];
  /** Nodes whose result gets its shape from a constant, and the axis of it that counts the classes. */
  readonly shapes: readonly { readonly node: Node; readonly axis: number }[];
}

/** Follows the classes from the weights of `heads` forward, and back into what the weights are computed from. */
export function findClasswise({ nodes }: Pick<Graph, 'nodes'>, heads: readonly Node[], classes: number): Classwise {
  const axes = new Map<Value, number>();
  const headOf = new Set(heads);
  for (const head of heads) {
    head.inputs.forEach((input, index) => {
      const found = channelAxes(head, index);
      if (!input || !found) return;
      markBack(input, found.weight, axes);
      axes.set(head.output(), found.result);
    });
  }
  const rows: ClassRows[] = [];
  const shapes: { node: Node; axis: number }[] = [];
  for (const node of nodes) {
    const axis = axisOfResult(node, axes, headOf);
    if (axis === undefined) continue;
    axes.set(node.output(), axis);
    if ((node.op === 'Reshape' || node.op === 'Expand') && node.inputs[1]?.constant) shapes.push({ node, axis });
    node.inputs.forEach((input, index) => {
      const along =
        input?.constant && input.constant.dtype === 'float32' ? axisOfRows(node, index, axis, axes) : undefined;
      if (along !== undefined && input?.shape?.[along] === classes) rows.push({ node, input: index, axis: along });
    });
  }
  return { rows, shapes };
}

/** Which axis of the values that `value` is computed from lies along its axis `axis`. */
export function axesBack(value: Value, axis: number): ReadonlyMap<Value, number> {
  const axes = new Map<Value, number>();
  markBack(value, axis, axes);
  return axes;
}

/** Marks what `value`, which is computed from constants, has along its axis `axis`, back to the constants. */
function markBack(value: Value, axis: number, axes: Map<Value, number>): void {
  if (axes.has(value)) return;
  axes.set(value, axis);
  const node = value.producer;
  if (!node || value.constant) return;
  node.inputs.forEach((input, index) => {
    const before = input ? axisBefore(node, index, axis) : undefined;
    if (input && before !== undefined) markBack(input, before, axes);
  });
}

function axisOfResult(node: Node, axes: ReadonlyMap<Value, number>, heads: ReadonlySet<Node>): number | undefined {
  if (heads.has(node)) return axes.get(node.output());
  for (const [index, input] of node.inputs.entries()) {
    const axis = input && axes.get(input);
    const behind = axis === undefined ? undefined : axisBehind(node, index, axis);
    if (behind !== undefined) return behind;
  }
  return undefined;
}

/** Which axis of a constant input lies along axis `axis` of a node's result. */
function axisOfRows(node: Node, index: number, axis: number, axes: ReadonlyMap<Value, number>): number | undefined {
  const [input, rank] = [node.inputs[index], node.outputs[0]?.shape?.length];
  const dims = input?.shape?.length;
  if (!input || dims === undefined || rank === undefined) return undefined;
  const marked = axes.get(input);
  if (marked !== undefined) return marked;
  // One number for each channel.
  if (['BatchNormalization', 'Conv', 'GroupNormalization', 'InstanceNormalization'].includes(node.op))
    return index > 0 && axis === 1 ? 0 : undefined;
  const along = axis - rank + dims;
  return along >= 0 ? along : undefined;
}
