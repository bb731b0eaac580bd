import type { Node, Value } from '../graph.js';
import { floatTensor } from '../../onnx/tensor.js';
import { NotStackable, type Stack } from './stack.js';

// How products of matrices work on several images: see rules.ts.

export function matmul(node: Node, stack: Stack): void {
  const [a, b] = [node.input(0), node.input(1)];
  const [left, right] = [stack.shapeOf(node, a), stack.shapeOf(node, b)];
  const rank = stack.shapeOf(node, node.output()).length;
  if (right.length === 1) throw new NotStackable(node);
  if (left.length === 1) {
    if (!stack.isStacked(a) || stack.isStacked(b) || right.length !== 2) throw new NotStackable(node);
    stack.keepApart(node, [stack.apart(node, a), b]);
    return;
  }
  const other = stack.isStacked(b) ? right : left;
  const isAlike = (input: Value, own: readonly number[]) =>
    stack.isStacked(input) ? own.length === rank && own[0] === other[0] : own.length < rank || own[0] === 1;
  // Rows of all images times one matrix.
  const isRows = rank === 2 && !stack.isStacked(b);
  if (isRows || (rank > 2 && isAlike(a, left) && isAlike(b, right))) {
    stack.keep(node);
    return;
  }
  const apart = (input: Value, own: readonly number[]) =>
    stack.isStacked(input)
      ? stack.apart(node, input, [...Array.from({ length: rank - own.length }, () => 1), ...own])
      : input;
  stack.keepApart(node, [apart(a, left), apart(b, right)]);
}

export function gemm(node: Node, stack: Stack): void {
  const [a, b, c] = node.inputs;
  if (!a || !b) throw new NotStackable(node);
  const isSame = !c || (!stack.isStacked(c) && (stack.shapeOf(node, c).length < 2 || stack.shapeOf(node, c)[0] === 1));
  if (stack.isStacked(a) && !stack.isStacked(b) && isSame && node.int('transA', 0) === 0) {
    stack.keep(node);
    return;
  }
  // α·a'·b' + β·c, image by image.
  const turned = (input: Value, isTurned: boolean) => {
    const own = stack.isStacked(input) ? stack.apart(node, input) : input;
    const perm = { kind: 'ints', value: stack.isStacked(input) ? [0, 2, 1] : [1, 0] } as const;
    return isTurned ? stack.append(node, 'Transpose', [own], new Map([['perm', perm]])) : own;
  };
  const product = stack.append(node, 'MatMul', [
    turned(a, node.int('transA', 0) === 1),
    turned(b, node.int('transB', 0) === 1),
  ]);
  const scaled = times(node, stack, product, node.float('alpha', 1));
  const shift = c && times(node, stack, stack.isStacked(c) ? stack.apart(node, c) : c, node.float('beta', 1));
  stack.join(node, shift ? stack.append(node, 'Add', [scaled, shift]) : scaled, node.output());
}

function times(node: Node, stack: Stack, value: Value, factor: number): Value {
  if (factor === 1) return value;
  const scalar = stack.ints([]);
  scalar.name = `factor_${factor}`;
  scalar.dtype = 'float32';
  scalar.shape = [];
  scalar.constant = floatTensor([], [factor]);
  return stack.append(node, 'Mul', [value, scalar]);
}
