import { broadcastShapes } from '../broadcast.js';
import { at } from '../dims.js';
import { bindShape, describe, type Node, sameDim, type Shape, showShape } from '../graph.js';
import { checkRank, checkStretches } from '../nodeChecks.js';
import { elementsOf } from '../valueSize.js';
import type { Operator, ShapeContext } from './operator.js';

/** Its input C is broadcast. */
export const gemm: Operator = {
  op: 'Gemm',
  required: 2,
  isOfOneType: true,
  broadcasts: true,
  vectors: [2],
  check: (node) => {
    for (const index of [0, 1]) checkRank(node, index, 2);
    if (node.inputs[2]) checkStretches(node, 2, resultOfGemm(node));
  },
  shape: gemmShape,
  multiplyAdds: (node, batch) =>
    elementsOf(node.outputs[0], batch) * (weightOf(node, batch)[isTransposed(node, 'transB') ? 1 : 0] ?? 0),
  inWholeNumbers: true,
  channelAxis: (node) => (isTransposed(node, 'transB') ? 0 : lastAxisOfWeight(node)),
};

/** Its axes before the last two are broadcast. */
export const matmul: Operator = {
  op: 'MatMul',
  required: 2,
  isOfOneType: true,
  broadcasts: true,
  shape: matmulShape,
  multiplyAdds: (node, batch) => {
    const weight = weightOf(node, batch);
    return elementsOf(node.outputs[0], batch) * (weight.at(-2) ?? weight[0] ?? 0);
  },
  channelAxis: lastAxisOfWeight,
};

const isTransposed = (node: Node, name: 'transA' | 'transB') => node.int(name, 0) === 1;

function weightOf(node: Node, batch: number): number[] {
  return bindShape(node.inputs[1]?.shape ?? [], batch);
}

function lastAxisOfWeight(node: Node): number {
  return (node.inputs[1]?.constant?.dims.length ?? 2) - 1;
}

function gemmShape({ node, shape }: ShapeContext): Shape {
  const [a, b] = [shape(0), shape(1)];
  const [rows, inner] = isTransposed(node, 'transA') ? [a[1], a[0]] : [a[0], a[1]];
  const [other, columns] = isTransposed(node, 'transB') ? [b[1], b[0]] : [b[0], b[1]];
  if (
    rows === undefined ||
    columns === undefined ||
    inner === undefined ||
    other === undefined ||
    !sameDim(inner, other)
  ) {
    throw new Error(`${describe(node)} cannot multiply ${showShape(a)} by ${showShape(b)}`);
  }
  return [rows, columns];
}

/** What C is stretched to; undefined while that is not known. */
function resultOfGemm(node: Node): Shape | undefined {
  const rows = node.input(0).shape?.[isTransposed(node, 'transA') ? 1 : 0];
  const columns = node.input(1).shape?.[isTransposed(node, 'transB') ? 0 : 1];
  return rows === undefined || columns === undefined ? undefined : [rows, columns];
}

function matmulShape({ node, shape }: ShapeContext): Shape {
  const [a, b] = [shape(0), shape(1)];
  const [left, right] = [a.length === 1 ? [1, ...a] : a, b.length === 1 ? [...b, 1] : b];
  const lead = broadcastShapes([left.slice(0, -2), right.slice(0, -2)]);
  if (!lead || !sameDim(at(left, left.length - 1), at(right, right.length - 2)))
    throw new Error(`${describe(node)} cannot multiply ${showShape(a)} by ${showShape(b)}`);
  return [
    ...lead,
    ...(a.length === 1 ? [] : [at(left, left.length - 2)]),
    ...(b.length === 1 ? [] : [at(right, right.length - 1)]),
  ];
}
