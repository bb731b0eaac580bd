import type { Builder } from './builder.js';
import { bindShape, consumersOf, type Dim, describe, int, type Node, type Value } from './graph.js';
import { operatorOf } from './operators.js';

/**
 * Maps that are kept as rows [N, H·W, C], a row for each place, in place of [N, C, H, W]: then a pointwise convolution is one
 * matrix product over all images, forward and backward, without a transpose. It pays where whole stretches of a network work
 * place by place, as its end usually does, up to the global pooling.
 */
export type Rows = ReadonlySet<Value>;

/**
 * The values of a trained part that can be rows: those of `boundary`, and what `nodes` make of them, as far as everything that
 * reads one works place by place or pools all places. `apart` are nodes that have a form of their own.
 */
export function valuesAsRows(
  nodes: readonly Node[],
  boundary: readonly Value[],
  outputs: readonly Value[],
  apart: ReadonlySet<Node>,
): Rows {
  const consumers = consumersOf(nodes);
  const isMap = ({ shape, dtype }: Value) => shape?.length === 4 && dtype === 'float32';
  const rows = new Set(boundary.filter((value) => isMap(value) && areaOf(value) !== undefined));
  for (const node of nodes)
    if (!apart.has(node) && isPointwise(node, rows, consumers) && isMap(node.output())) rows.add(node.output());
  const isPool = (node: Node, value: Value) =>
    node.input(0) === value && operatorOf(node)?.poolsPlaces?.(node) === true;
  const isRead = (value: Value) =>
    !outputs.includes(value) &&
    (consumers.get(value) ?? []).every((node) => !apart.has(node) && (rows.has(node.output()) || isPool(node, value)));
  // A value that cannot be rows takes with it whatever it is made of and whatever is made of it.
  const leave = (value: Value): void => {
    if (!rows.delete(value)) return;
    for (const node of [value.producer, ...(consumers.get(value) ?? [])])
      if (node) for (const other of [...node.inputs, node.output()]) if (other) leave(other);
  };
  for (let size = -1; size !== rows.size;) {
    size = rows.size;
    for (const value of [...rows]) if (!isRead(value)) leave(value);
  }
  return nodes.some((node) => node.op === 'Conv' && rows.has(node.output())) ? rows : new Set();
}

/** How many places a map has; undefined where that is not known. */
export function areaOf({ shape = [] }: Value): number | undefined {
  const [height, width] = shape.slice(2);
  return typeof height === 'number' && typeof width === 'number' ? height * width : undefined;
}

function isPointwise(node: Node, rows: Rows, consumers: ReadonlyMap<Value, readonly Node[]>): boolean {
  const [first, second] = node.inputs;
  const isRow = (value: Value | undefined) => value !== undefined && rows.has(value);
  if (node.op === 'Conv') return isRow(first) && isPointwiseConv(node);
  // It becomes a part of the convolution.
  if (node.op === 'BatchNormalization')
    return isRow(first) && first?.producer?.op === 'Conv' && consumers.get(first)?.length === 1;
  const works = operatorOf(node)?.works;
  if (works === 'elementwise') return isRow(first);
  if (works !== 'pairwise' || !first || !second) return false;
  if (isRow(first) && isRow(second)) return sameArea(first, second);
  return (isRow(first) && spreads(second, first)) || (isRow(second) && spreads(first, second));
}

const sameArea = (a: Value, b: Value) => areaOf(a) === areaOf(b) && a.shape?.[1] === b.shape?.[1];

function isPointwiseConv(node: Node): boolean {
  const ones = (name: string) => (node.ints(name) ?? []).every((value) => value === 1);
  const kernel = node.input(1).shape?.slice(2);
  return (
    kernel?.length === 2 &&
    kernel.every((side) => side === 1) &&
    ones('strides') &&
    (node.ints('pads') ?? []).every((value) => value === 0) &&
    node.int('group', 1) === 1
  );
}

/** Whether `value` is the same at every place of `map`: a number, one for each channel, or one for each channel of each image. */
function spreads({ shape }: Value, map: Value): boolean {
  if (!shape || shape.length > 4) return false;
  const dims: Dim[] = [...new Array<number>(4 - shape.length).fill(1), ...shape];
  return dims[2] === 1 && dims[3] === 1 && (dims[1] === 1 || dims[1] === map.shape?.[1]);
}

/** Appends `node`, whose output is rows, and gives that. */
export function pointwiseRows(g: Builder, node: Node, rows: Rows, at: (value: Value) => Value): Value {
  if (node.op === 'Conv') {
    const [, weight, bias] = node.inputs;
    if (!weight) throw new Error(`${describe(node)} lacks its weight`);
    return convOfRows(g, node, at(node.input(0)), at(weight), bias && at(bias));
  }
  const isPairwise = operatorOf(node)?.works === 'pairwise';
  const map = node.inputs.find((input) => input && rows.has(input));
  const inputs = node.inputs.map((input) => {
    if (!input || rows.has(input) || !isPairwise || !map) return input && at(input);
    return spread(g, input, at(input));
  });
  return g.op(node.op, inputs, Object.fromEntries(node.attributes), {
    domain: node.domain,
    name: g.uniqueName(node.name),
  });
}

/** A pointwise convolution of rows x [N, A, C] with weights [K, C, 1, 1] or [K, C]: [N, A, K]. */
export function convOfRows(g: Builder, node: Node, x: Value, weight: Value, bias: Value | undefined): Value {
  const [kernels = 0, channels = 0] = bindShape(weight.shape ?? [], 1);
  const area = areaOf(node.output()) ?? 0;
  const matrix = g.reshape(weight, [kernels, channels]);
  const product = g.op(
    'Gemm',
    [g.reshape(x, [-1, channels]), matrix, ...(bias ? [bias] : [])],
    { transB: int(1) },
    { name: g.uniqueName(node.name) },
  );
  return g.reshape(product, [-1, area, kernels]);
}

/** What is the same at every place, as it stands beside rows. */
function spread(g: Builder, source: Value, value: Value): Value {
  const { shape = [] } = source;
  const dims: Dim[] = [...new Array<number>(4 - shape.length).fill(1), ...shape];
  const [images, channels = 1] = dims;
  if (dims.every((dim) => dim === 1)) return g.reshape(value, []);
  const width = typeof channels === 'number' ? channels : 1;
  return g.reshape(value, images === 1 ? [width] : [-1, 1, width]);
}

/** Appends `node`, which pools the rows x [N, A, C] over all places, in the shape that it has of maps. */
export function pooledRows(g: Builder, node: Node, x: Value): Value {
  const channels = bindShape(x.shape ?? [], 1)[2] ?? 0;
  const pooled = node.op === 'ReduceSum' ? g.reduceSum(x, [1]) : g.reduceMean(x, [1]);
  return g.reshape(pooled, node.output().shape?.length === 4 ? [-1, channels, 1, 1] : [-1, channels]);
}
