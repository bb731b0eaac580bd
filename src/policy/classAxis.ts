import { isNumber, product } from '../graph/dims.js';
import type { Dim, Node, Shape } from '../graph/graph.js';
import { equationOf } from '../graph/operators/equations.js';
import { operatorOf } from '../graph/operators.js';
import { toNumbers } from '../onnx/tensor.js';

const RESHAPING: ReadonlySet<string> = new Set(['Flatten', 'Reshape', 'Squeeze', 'Unsqueeze']);
/** Operators whose results have other axes than their inputs. */
const MIXING: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'DepthToSpace',
  'Einsum',
  'Gemm',
  'GatherND',
  'MatMul',
  'OneHot',
  'SpaceToDepth',
  'TopK',
]);

/**
 * Where the axis `axis` of input `index` is in the result of a node, with its length; undefined where the node mixes, joins, cuts or
 * reduces what lies along it, or ort-tl does not know.
 */
export function axisBehind(node: Node, index: number, axis: number): number | undefined {
  const from = node.inputs[index]?.shape;
  const to = node.outputs[0]?.shape;
  if (!from || !to || from[axis] === undefined || MIXING.has(node.op)) return undefined;
  const behind = movedAxis(node, { from, to, index, axis });
  return behind !== undefined && isSame(from[axis], to[behind]) ? behind : undefined;
}

interface Move {
  readonly from: Shape;
  readonly to: Shape;
  readonly index: number;
  readonly axis: number;
}

function movedAxis(node: Node, { from, to, index, axis }: Move): number | undefined {
  if (RESHAPING.has(node.op)) return index === 0 ? reshapedAxis(from, to, axis) : undefined;
  if (node.op === 'Transpose') return (node.ints('perm') ?? from.map((_, at) => from.length - 1 - at)).indexOf(axis);
  if (node.op.startsWith('Reduce')) return reducedAxis(node, from.length, axis);
  if (node.op === 'Concat') return wrapped(node.int('axis', 0), from.length) === axis ? undefined : axis;
  if (node.op === 'Gather') {
    const along = wrapped(node.int('axis', 0), from.length);
    if (index !== 0 || along === axis) return undefined;
    return axis < along ? axis : axis + to.length - from.length;
  }
  if (node.domain === '' && operatorOf(node) === undefined) return undefined;
  return axis + to.length - from.length;
}

const wrapped = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** The axis of `to` with as many elements before it as `axis` has in `from`. */
export function reshapedAxis(from: Shape, to: Shape, axis: number): number | undefined {
  const before = product(from.slice(0, axis));
  const fitting = to.flatMap((dim, at) =>
    isSame(dim, from[axis]) && isSame(product(to.slice(0, at)), before) ? [at] : [],
  );
  return fitting.at(-1);
}

function reducedAxis(node: Node, rank: number, axis: number): number | undefined {
  const constant = node.inputs[1]?.constant;
  const axes = (constant ? toNumbers(constant) : (node.ints('axes') ?? [])).map((each) => wrapped(each, rank));
  if (axes.length === 0 ? node.int('noop_with_empty_axes', 0) !== 1 : axes.includes(axis)) return undefined;
  return node.int('keepdims', 1) === 1 ? axis : axis - axes.filter((each) => each < axis).length;
}

const isSame = (a: Dim | undefined, b: Dim | undefined) =>
  isNumber(a) || isNumber(b) ? a === b : a !== undefined && a.batch === b?.batch;

/** The weight's axis that counts the outputs of a layer, and the axis of its result that it becomes; undefined where there is none. */
export function channelAxes(
  node: Node,
  index: number,
): { readonly weight: number; readonly result: number } | undefined {
  const weight = node.inputs[index]?.shape;
  const rank = node.outputs[0]?.shape?.length;
  if (!weight || rank === undefined || node.domain !== '') return undefined;
  switch (node.op) {
    case 'Conv':
      return index === 1 && node.int('group', 1) === 1 ? { weight: 0, result: 1 } : undefined;
    case 'Gemm':
      return index === 1 && node.int('transA', 0) === 0
        ? { weight: node.int('transB', 0) === 1 ? 0 : 1, result: 1 }
        : undefined;
    case 'MatMul':
      return index === 1 && weight.length > 1 ? { weight: weight.length - 1, result: rank - 1 } : undefined;
    case 'Einsum':
      return channelAxesOfEinsum(node, index);
    default:
      return undefined;
  }
}

function channelAxesOfEinsum(node: Node, index: number): { weight: number; result: number } | undefined {
  const equation = equationOf(
    node,
    node.inputs.map((input) => input?.shape ?? []),
  );
  const [own, other] = [equation.inputs[index], equation.inputs[1 - index]];
  if (equation.inputs.length !== 2 || own === undefined || other === undefined) return undefined;
  const channels = Array.from(own).filter((letter) => !other.includes(letter) && equation.output.includes(letter));
  const [letter] = channels;
  return letter !== undefined && channels.length === 1
    ? { weight: own.indexOf(letter), result: equation.output.indexOf(letter) }
    : undefined;
}
