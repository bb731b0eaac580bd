import { type DType, dtypeOfCode, nearestNumber, type Tensor, toNumbers } from '../onnx/tensor.js';
import { type Dim, describe, type Node, type Shape, sameDim, showShape, type Value } from './graph.js';
import { resizedShape } from './resized.js';

/** The static geometry of a convolution or a pooling. */
export interface ConvGeometry {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins of every spatial axis, then ends; `auto_pad` is resolved. */
  readonly pads: readonly number[];
  readonly group: number;
}

/** Integers that are known while shapes are inferred: constants, and arithmetic on shapes. */
export type Known = ReadonlyMap<Value, readonly Dim[]>;

interface ShapeRule {
  /** The shape of output 0; undefined where it cannot be told. */
  readonly shape: (context: Context) => Shape | undefined;
  /** The element type of output 0; that of input 0 unless said. */
  readonly dtype?: (node: Node) => DType | undefined;
  /** Further outputs' element types, where they differ from output 0's. */
  readonly others?: readonly DType[];
  /** Further outputs' shape, where it differs from output 0's. */
  readonly otherShape?: (context: Context) => Shape | undefined;
  /** The shapes of all outputs, where each has its own. */
  readonly shapes?: (context: Context) => readonly Shape[] | undefined;
}

interface Context {
  readonly node: Node;
  /** The shape of input `index`. @throws when it is unknown. */
  readonly shape: (index: number) => Shape;
  /** The integers of input `index`, or undefined when they are not known. */
  readonly numbers: (index: number) => readonly Dim[] | undefined;
}

const sameAsInput: ShapeRule = { shape: ({ shape }) => shape(0) };
const toBoolean = () => 'bool' as const;
const broadcasting: ShapeRule = { shape: broadcast };
const comparing: ShapeRule = { shape: broadcast, dtype: toBoolean };
const reducing: ShapeRule = { shape: reduced };

const sameShapeOps =
  'Abs BatchNormalization Celu Ceil Clip Cos CumSum Elu Erf Exp Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax Mish Neg PRelu QuickGelu FastGelu Reciprocal Relu ReorderInput ReorderOutput Round ScatterElements ScatterND Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Swish Tanh ThresholdedRelu';
const broadcastOps = 'Add Div Max Mean Min Mod Mul Pow Sub Sum';
const comparisonOps = 'And Equal Greater GreaterOrEqual Less LessOrEqual Or Xor';
const reductionOps =
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare';

const named = (names: string, rule: ShapeRule) => names.split(' ').map((name) => [name, rule] as const);

const rules = new Map<string, ShapeRule>([
  ...named(sameShapeOps, sameAsInput),
  ...named(broadcastOps, broadcasting),
  ...named(comparisonOps, comparing),
  ...named(reductionOps, reducing),
  ['Dropout', { shape: ({ shape }) => shape(0), others: ['bool'] }],
  ['Not', { shape: ({ shape }) => shape(0), dtype: toBoolean }],
  ['LayerNormalization', { shape: ({ shape }) => shape(0), otherShape: layerStatistics }],
  ['Where', { shape: broadcast, dtype: (node) => node.inputs[1]?.dtype }],
  ['Cast', { shape: ({ shape }) => shape(0), dtype: (node) => dtypeOfCode(node.int('to', 1)) }],
  ['Conv', { shape: (context) => withChannels(pooled(context), context.shape(1)[0]) }],
  ['ConvTranspose', { shape: convTransposed }],
  ['AveragePool', { shape: pooled }],
  ['MaxPool', { shape: pooled, others: ['int64'] }],
  ['GlobalAveragePool', { shape: ({ shape }) => shape(0).map((dim, axis) => (axis < 2 ? dim : 1)) }],
  ['GlobalMaxPool', { shape: ({ shape }) => shape(0).map((dim, axis) => (axis < 2 ? dim : 1)) }],
  ['Gemm', { shape: gemm }],
  ['MatMul', { shape: matmul }],
  ['Flatten', { shape: flattened }],
  ['Reshape', { shape: reshaped }],
  ['Transpose', { shape: transposed }],
  ['Squeeze', { shape: squeezed }],
  ['Unsqueeze', { shape: unsqueezed }],
  ['Concat', { shape: concatenated }],
  ['Slice', { shape: sliced }],
  ['Split', { shape: (context) => splitUp(context)?.[0], shapes: splitUp }],
  ['Tile', { shape: tiled }],
  ['Resize', { shape: resized }],
  ['DepthToSpace', { shape: depthToSpace }],
  ['SpaceToDepth', { shape: spaceToDepth }],
  ['Pad', { shape: padded }],
  ['Expand', { shape: ({ shape, numbers }) => numbers(1) && broadcastShapes([shape(0), numbers(1) ?? []]) }],
  ['Gather', { shape: gathered }],
  ['OneHot', { shape: oneHot, dtype: (node) => node.inputs[2]?.dtype }],
  ['Shape', { shape: ({ node, shape }) => [shapeWindow(node, shape(0)).length], dtype: () => 'int64' }],
  ['ConstantOfShape', { shape: ({ numbers }) => numbers(0), dtype: constantType }],
]);

/** Operators of ONNX Runtime's own domain; a standard one that claims to be of it is another, unknown one. */
const contributedOps = new Set('FastGelu Gelu QuickGelu'.split(' '));
/** What ort-tl itself writes in the blocked layout; of a source model it would be laid out for another machine. */
const blockedOps = new Set('Conv GlobalAveragePool ReorderInput ReorderOutput'.split(' '));
const isBlocked = ({ op, domain }: Node) => domain === 'com.microsoft.nchwc' && blockedOps.has(op);

/** Whether {@link inferNode} knows an operator. */
export function infersShapeOf({ op, domain }: Node): boolean {
  return rules.has(op) && (domain === '' || (domain === 'com.microsoft' && contributedOps.has(op)));
}

/**
 * Sets the types and shapes of a node's outputs, as far as its inputs tell; an operator that ort-tl does not know leaves
 * them open.
 * @throws Error when the inputs' shapes do not fit the operator.
 */
export function inferNode(node: Node, known: Known = new Map()): void {
  const rule = rules.get(node.op);
  if (!rule || !(infersShapeOf(node) || isBlocked(node))) return;
  const dtype = rule.dtype ? rule.dtype(node) : node.inputs[0]?.dtype;
  const isKnown = node.inputs.every((input) => !input || input.shape);
  const shape = isKnown ? rule.shape(contextOf(node, known)) : undefined;
  const otherShape = isKnown && rule.otherShape ? rule.otherShape(contextOf(node, known)) : shape;
  const shapes = isKnown ? rule.shapes?.(contextOf(node, known)) : undefined;
  node.outputs.forEach((output, index) => {
    if (!output) return;
    output.dtype = index === 0 ? dtype : (rule.others?.[index - 1] ?? dtype);
    output.shape = index === 0 ? shape : rule.shapes ? shapes?.[index] : otherShape;
  });
}

/** A convolution's or pooling's geometry, `auto_pad` resolved for its input's size. */
export function convGeometry(node: Node): ConvGeometry {
  const size = (node.input(0).shape ?? []).slice(2);
  const kernel =
    node.ints('kernel_shape') ?? (node.input(1).shape ?? []).slice(2).map((dim) => (typeof dim === 'number' ? dim : 0));
  const ones = kernel.map(() => 1);
  const strides = node.ints('strides') ?? ones;
  const dilations = node.ints('dilations') ?? ones;
  const group = node.int('group', 1);
  const automatic = node.string('auto_pad', 'NOTSET');
  if (node.op === 'ConvTranspose' && (automatic.startsWith('SAME') || node.ints('output_shape'))) {
    return { kernel, strides, dilations, group, pads: transposedPads(node, kernel, strides, dilations, size) };
  }
  if (automatic !== 'SAME_UPPER' && automatic !== 'SAME_LOWER') {
    return {
      kernel,
      strides,
      dilations,
      group,
      pads:
        automatic === 'VALID'
          ? [...ones, ...ones].map(() => 0)
          : (node.ints('pads') ?? [...ones, ...ones].map(() => 0)),
    };
  }
  const totals = kernel.map((k, axis) => {
    const length = size[axis];
    const stride = at(strides, axis);
    if (typeof length !== 'number')
      throw new Error(`${describe(node)} pads by the size of its input, which is not known`);
    return Math.max(0, (Math.ceil(length / stride) - 1) * stride + at(dilations, axis) * (k - 1) + 1 - length);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return {
    kernel,
    strides,
    dilations,
    group,
    pads: automatic === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small],
  };
}

/** What a ConvTranspose cuts off so that its output gets the stated size, or else the stride times its input's. */
function transposedPads(
  node: Node,
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
  size: Shape,
): number[] {
  const extra = node.ints('output_padding') ?? kernel.map(() => 0);
  const totals = kernel.map((k, axis) => {
    const length = whole(node, size[axis]);
    const reach = (length - 1) * at(strides, axis) + at(dilations, axis) * (k - 1) + 1 + at(extra, axis);
    return Math.max(0, reach - (node.ints('output_shape')?.[axis] ?? length * at(strides, axis)));
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return node.string('auto_pad', 'NOTSET') === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
}

function contextOf(node: Node, known: Known): Context {
  return {
    node,
    shape: (index) => {
      const { shape } = node.input(index);
      if (!shape) throw new Error(`the shape of input ${index} of ${describe(node)} is not known`);
      return shape;
    },
    numbers: (index) => integersOf(node.inputs[index], known),
  };
}

/** Vectors longer than this are data, not shapes. */
export const LONGEST_VECTOR = 64;

function integersOf(value: Value | undefined, known: Known): readonly Dim[] | undefined {
  const constant = value?.constant;
  if (!constant) return value && known.get(value);
  return (constant.dtype === 'int64' || constant.dtype === 'int32') && constant.data.length <= LONGEST_VECTOR
    ? numbersOfConstant(constant)
    : undefined;
}

/** A constant's elements as numbers; the huge integers that mean "to the end" become the largest exact ones. */
export function numbersOfConstant({ data }: Tensor): number[] {
  return Array.from(data, nearestNumber);
}

/** The integers that a node computes, where ort-tl can follow it. */
export function computed(node: Node, known: Known): readonly Dim[] | undefined {
  const a = integersOf(node.inputs[0], known);
  const b = integersOf(node.inputs[1], known);
  switch (node.op) {
    case 'Shape':
      return node.inputs[0]?.shape && shapeWindow(node, node.inputs[0].shape);
    case 'Identity':
    case 'Cast':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Reshape':
      return a;
    case 'Gather':
      return a && b?.every(isNumber) ? b.map((index) => at(a, index < 0 ? index + a.length : index)) : undefined;
    case 'Concat': {
      const parts = node.inputs.map((input) => integersOf(input, known));
      return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    }
    case 'Slice': {
      const [start, end] = [b?.[0], integersOf(node.inputs[2], known)?.[0]];
      const step = node.inputs[4] ? integersOf(node.inputs[4], known)?.[0] : 1;
      return a && isNumber(start) && isNumber(end) && step === 1 ? a.slice(start, end) : undefined;
    }
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      return a && b && arithmetic(node.op, a, b);
    default:
      return undefined;
  }
}

function arithmetic(op: 'Add' | 'Sub' | 'Mul' | 'Div', a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined {
  const results = Array.from({ length: Math.max(a.length, b.length) }, (_, index): Dim | undefined => {
    const [x, y] = [at(a, a.length === 1 ? 0 : index), at(b, b.length === 1 ? 0 : index)];
    if (op === 'Mul') return product([x, y]);
    if (op === 'Div') return quotient(x, y);
    if (!isNumber(x) || !isNumber(y)) return undefined;
    return op === 'Add' ? x + y : x - y;
  });
  return results.every((dim) => dim !== undefined) ? results : undefined;
}

const isNumber = (dim: Dim | undefined): dim is number => typeof dim === 'number';

/** Element `index` of a list that has one. */
function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`there is no item ${index} of ${list.length}`);
  return item;
}

function wrap(axis: number, rank: number): number {
  if (!(axis >= -rank && axis <= rank)) throw new Error(`there is no axis ${axis} of ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

function whole(node: Node, dim: Dim | undefined): number {
  if (isNumber(dim)) return dim;
  throw new Error(`${describe(node)} works along the batch, which ort-tl cannot follow`);
}

/** Undefined when two factors depend on the batch. */
function product(dims: readonly Dim[]): Dim | undefined {
  const factor = dims.reduce<number>((total, dim) => total * (isNumber(dim) ? dim : dim.batch), 1);
  const symbols = dims.filter((dim) => !isNumber(dim)).length;
  return symbols === 0 ? factor : symbols === 1 ? { batch: factor } : undefined;
}

function quotient(a: Dim, b: Dim): Dim | undefined {
  if (isNumber(b))
    return isNumber(a) ? Math.floor(a / b) : Number.isInteger(a.batch / b) ? { batch: a.batch / b } : undefined;
  return !isNumber(a) && Number.isInteger(a.batch / b.batch) ? a.batch / b.batch : undefined;
}

function broadcast({ node, shape }: Context): Shape {
  const shapes = node.inputs.flatMap((input, index) => (input ? [shape(index)] : []));
  const result = broadcastShapes(shapes);
  if (!result) throw new Error(`${describe(node)} cannot broadcast ${shapes.map(showShape).join(' and ')}`);
  return result;
}

export function broadcastShapes(shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const result: Dim[] = Array.from({ length: rank }, () => 1);
  for (const shape of shapes) {
    for (const [index, dim] of shape.entries()) {
      const axis = index + rank - shape.length;
      if (dim === 1) continue;
      if (result[axis] !== 1 && !sameDim(at(result, axis), dim)) return undefined;
      result[axis] = dim;
    }
  }
  return result;
}

function withChannels(shape: Shape, channels: Dim | undefined): Shape {
  return shape.map((dim, axis) => (axis === 1 && channels !== undefined ? channels : dim));
}

function pooled({ node, shape }: Context): Shape {
  const from = shape(0);
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const weight = node.op === 'Conv' ? shape(1) : undefined;
  if (weight && (weight.length !== from.length || from[1] !== whole(node, weight[1]) * group)) {
    throw new Error(
      `${describe(node)} cannot convolve ${showShape(from)} with ${showShape(weight)} in ${group} groups`,
    );
  }
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

function convTransposed({ node, shape }: Context): Shape {
  const from = shape(0);
  const { kernel, strides, dilations, pads, group } = convGeometry(node);
  const extra = node.ints('output_padding') ?? kernel.map(() => 0);
  const isSame = node.string('auto_pad', 'NOTSET').startsWith('SAME');
  const spatial =
    node.ints('output_shape') ??
    kernel.map((k, axis) => {
      // Padded so that the output is as many times larger as the stride says.
      if (isSame) return whole(node, from[axis + 2]) * at(strides, axis);
      const reach = (whole(node, from[axis + 2]) - 1) * at(strides, axis) + at(dilations, axis) * (k - 1) + 1;
      return reach - at(pads, axis) - at(pads, axis + kernel.length) + at(extra, axis);
    });
  return [at(from, 0), whole(node, shape(1)[1]) * group, ...spatial];
}

function gemm({ node, shape }: Context): Shape {
  const [a, b] = [shape(0), shape(1)];
  const [rows, inner] = node.int('transA', 0) === 1 ? [a[1], a[0]] : [a[0], a[1]];
  const [other, columns] = node.int('transB', 0) === 1 ? [b[1], b[0]] : [b[0], b[1]];
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

function matmul({ node, shape }: Context): Shape {
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

function flattened({ node, shape }: Context): Shape | undefined {
  const from = shape(0);
  const axis = wrap(node.int('axis', 1), from.length);
  const [rows, columns] = [product(from.slice(0, axis)), product(from.slice(axis))];
  return rows === undefined || columns === undefined ? undefined : [rows, columns];
}

function reshaped({ node, shape, numbers }: Context): Shape | undefined {
  const from = shape(0);
  const keepsZero = node.int('allowzero', 0) === 1;
  const target = numbers(1)?.map((dim, axis) => (dim === 0 && !keepsZero ? (from[axis] ?? 0) : dim));
  const total = product(from);
  if (!target || total === undefined) return undefined;
  const open = target.indexOf(-1);
  const given = product(target.filter((_, axis) => axis !== open));
  if (given === undefined) return undefined;
  const refuse = () => new Error(`${describe(node)} cannot give ${showShape(from)} the shape ${showShape(target)}`);
  if (open >= 0) {
    const rest = quotient(total, given);
    const back = rest === undefined ? undefined : product([rest, given]);
    if (rest === undefined || back === undefined || !sameDim(back, total)) throw refuse();
    return target.map((dim, axis) => (axis === open ? rest : dim));
  }
  if (sameDim(given, total)) return target;
  // A file that was exported for a batch of 1 says 1 where the batch belongs.
  if (target[0] === 1 && !isNumber(total) && isNumber(given) && total.batch === given)
    return [{ batch: 1 }, ...target.slice(1)];
  throw refuse();
}

/** The shape of a LayerNormalization's means: its input's, with the normalized axes 1. */
function layerStatistics({ node, shape }: Context): Shape {
  const from = shape(0);
  const first = wrap(node.int('axis', -1), from.length);
  return from.map((dim, axis) => (axis < first ? dim : 1));
}

function transposed({ node, shape }: Context): Shape {
  const from = shape(0);
  const permutation = node.ints('perm') ?? from.map((_, axis) => from.length - 1 - axis);
  if (permutation.length !== from.length || new Set(permutation).size !== from.length)
    throw new Error(`${describe(node)} cannot transpose ${showShape(from)} by [${permutation.join(', ')}]`);
  return permutation.map((axis) => at(from, axis));
}

function squeezed({ node, shape, numbers }: Context): Shape | undefined {
  const from = shape(0);
  if (!node.inputs[1]) return from.filter((dim) => dim !== 1);
  const axes = numbers(1)?.map((axis) => wrap(whole(node, axis), from.length));
  return axes && from.filter((_, axis) => !axes.includes(axis));
}

function unsqueezed({ node, shape, numbers }: Context): Shape | undefined {
  const from = shape(0);
  const axes = numbers(1);
  if (!axes) return undefined;
  const result: Dim[] = [...from];
  const places = axes.map((axis) => wrap(whole(node, axis), from.length + axes.length)).sort((a, b) => a - b);
  for (const place of places) result.splice(place, 0, 1);
  return result;
}

function concatenated({ node, shape }: Context): Shape {
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

function sliced({ node, shape, numbers }: Context): Shape | undefined {
  const from = shape(0);
  const [starts, ends] = [numbers(1), numbers(2)];
  const axes = node.inputs[3] ? numbers(3) : starts?.map((_, index) => index);
  const steps = node.inputs[4] ? numbers(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  const result: Dim[] = [...from];
  axes.forEach((each, index) => {
    const axis = wrap(whole(node, each), from.length);
    const [start, end, step] = [whole(node, starts[index]), whole(node, ends[index]), whole(node, steps[index])];
    const dim = at(from, axis);
    if (!isNumber(dim) && start === 0 && end >= 2 ** 31 - 1 && step === 1) return;
    const length = whole(node, dim);
    const [lowest, highest] = step < 0 ? [-1, length - 1] : [0, length];
    const clamp = (place: number) => Math.min(highest, Math.max(lowest, place < 0 ? place + length : place));
    result[axis] = Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step));
  });
  return result;
}

function padded({ node, shape, numbers }: Context): Shape | undefined {
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

function splitUp({ node, shape, numbers }: Context): Shape[] | undefined {
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

function tiled({ node, shape, numbers }: Context): Shape | undefined {
  const repeats = numbers(1);
  return (
    repeats &&
    shape(0).map((dim, axis) => {
      const count = whole(node, repeats[axis]);
      return isNumber(dim) ? dim * count : { batch: dim.batch * count };
    })
  );
}

function resized({ node, shape, numbers }: Context): Shape | undefined {
  const scales = node.inputs[2]?.constant;
  const sizes = node.inputs[3] && numbers(3);
  return resizedShape(node, shape(0), scales && scales.data.length > 0 ? toNumbers(scales) : undefined, sizes);
}

function depthToSpace({ node, shape }: Context): Shape {
  const [images = 0, channels, height, width] = shape(0);
  const block = node.int('blocksize', 1);
  return [images, whole(node, channels) / block ** 2, whole(node, height) * block, whole(node, width) * block];
}

function spaceToDepth({ node, shape }: Context): Shape {
  const [images = 0, channels, height, width] = shape(0);
  const block = node.int('blocksize', 1);
  return [images, whole(node, channels) * block ** 2, whole(node, height) / block, whole(node, width) / block];
}

function gathered({ node, shape }: Context): Shape {
  const from = shape(0);
  const axis = wrap(node.int('axis', 0), from.length);
  return [...from.slice(0, axis), ...shape(1), ...from.slice(axis + 1)];
}

function oneHot({ node, shape, numbers }: Context): Shape | undefined {
  // The depth may be of any number type, also floating point.
  const constant = node.inputs[1]?.constant;
  const depth = constant ? toNumbers(constant)[0] : numbers(1)?.[0];
  const from: Dim[] = [...shape(0)];
  if (depth === undefined) return undefined;
  from.splice(wrap(node.int('axis', -1), from.length + 1), 0, depth);
  return from;
}

function reduced({ node, shape, numbers }: Context): Shape | undefined {
  const from = shape(0);
  const axes = node.inputs[1] ? numbers(1) : (node.ints('axes') ?? []);
  if (!axes) return undefined;
  if (axes.length === 0 && node.int('noop_with_empty_axes', 0) === 1) return from;
  const chosen = axes.map((axis) => wrap(whole(node, axis), from.length));
  const isReduced = (axis: number) => axes.length === 0 || chosen.includes(axis);
  const keeps = node.int('keepdims', 1) === 1;
  return from.flatMap((dim, axis) => (isReduced(axis) ? (keeps ? [1] : []) : [dim]));
}

/** The part of a shape that a Shape operator gives (opset 15: `start`, `end`). */
function shapeWindow(node: Node, shape: Shape): Shape {
  return shape.slice(node.int('start', 0), node.int('end', shape.length));
}

function constantType(node: Node): DType {
  const value = node.attributes.get('value');
  return value?.kind === 'tensor' ? value.value.dtype : 'float32';
}
