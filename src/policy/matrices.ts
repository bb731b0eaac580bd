import type { Node, Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';
import type { Block } from './blocks.js';
import type { Layer } from './layer.js';
import type { LayerTable } from './layers.js';

/** A matrix that multiplies the features of a place. */
export interface Matrix {
  readonly layer: Layer;
  /** The tensor of the model that it is, or that it is made of by transposing. */
  readonly weight: Value;
  readonly inputs: number;
  readonly outputs: number;
  /** Whether the weight is [outputs, inputs], not [inputs, outputs]; for a 1×1 convolution it is [outputs, inputs, 1, 1]. */
  readonly isTransposed: boolean;
}

/** Matrices, and layers that are such but for what their matrices are made of. */
export interface Matrices {
  readonly matrices: readonly Matrix[];
  readonly others: readonly Layer[];
}

/**
 * The matrices of attention and perceptrons, from input to head, without the head's: those of MatMul and Gemm, and of 1×1 convolutions
 * within a block that has attention, or that follow one another with nothing but an activation between.
 */
export function findMatrices({ all, convs, fcs }: LayerTable, blocks: readonly Block[]): Matrices {
  const main = new Set([...convs, ...fcs.slice(0, -1)]);
  const attending = new Set(blocks.filter(attends).flatMap(({ layers }) => layers));
  const pointwise = new Map(
    all.flatMap((layer) => (main.has(layer) && isPointwise(layer.node) ? [[layer.node, layer] as const] : [])),
  );
  const pairs = new Set<Layer>();
  for (const [node, layer] of pointwise) {
    const before = activatedConv(node.input(0));
    const first = before && pointwise.get(before);
    if (first) pairs.add(first).add(layer);
  }
  const isFixed = fixedValues();
  const isMatrix = (layer: Layer): boolean => {
    if (!main.has(layer) || isFixed(layer.node.input(0))) return false;
    if (layer.node.op !== 'Conv') return true;
    return pointwise.has(layer.node) && (layer.kind === 'fc' || attending.has(layer) || pairs.has(layer));
  };
  const found = all.filter(isMatrix).map((layer) => ({ layer, matrix: matrixOf(layer) }));
  return {
    matrices: found.flatMap(({ matrix }) => matrix ?? []),
    others: found.flatMap(({ layer, matrix }) => (matrix ? [] : layer)),
  };
}

function matrixOf(layer: Layer): Matrix | undefined {
  const { node, parameters } = layer;
  const root = weightOf(node);
  if (!root || !parameters.includes(root.weight) || node.int('transA', 0) === 1) return undefined;
  const { weight, isTransposed } = root;
  const [first, second, ...kernel] = weight.constant?.dims ?? [];
  if (first === undefined || second === undefined || kernel.some((size) => size !== 1)) return undefined;
  if (!['Conv', 'Gemm', 'MatMul'].includes(node.op) || (kernel.length > 0 && node.op !== 'Conv')) return undefined;
  return { layer, weight, inputs: isTransposed ? second : first, outputs: isTransposed ? first : second, isTransposed };
}

/** The tensor that a node reads as its weight, as it is or transposed, and whether its rows are the node's outputs. */
export function weightOf(node: Node): { readonly weight: Value; readonly isTransposed: boolean } | undefined {
  let weight = node.inputs[1];
  let isTransposed = node.op === 'Conv' || node.int('transB', 0) === 1;
  while (weight && !weight.constant) {
    const { producer }: Value = weight;
    const isTurned = producer?.op === 'Transpose' && (producer.ints('perm') ?? [1, 0]).join() === '1,0';
    if (!producer || (!isTurned && producer.op !== 'Identity')) return undefined;
    if (isTurned) isTransposed = !isTransposed;
    weight = producer.inputs[0];
  }
  return weight && { weight, isTransposed };
}

function isPointwise(node: Node): boolean {
  const [, , ...kernel] = node.inputs[1]?.shape ?? [];
  const isOne = (list: readonly unknown[] | undefined) => (list ?? []).every((n) => n === 1);
  const isUnpadded = (node.ints('pads') ?? []).every((n) => n === 0);
  return node.op === 'Conv' && isOne(kernel) && isOne(node.ints('strides')) && isUnpadded && node.int('group', 1) === 1;
}

/** Tells whether a value is the same for every image, such as the bias that Swin computes of coordinates. */
function fixedValues(): (value: Value) => boolean {
  const known = new Map<Value, boolean>();
  const isFixed = (value: Value): boolean => {
    if (value.constant) return true;
    let fixed = known.get(value);
    if (fixed === undefined) {
      fixed = value.producer !== undefined && value.producer.inputs.every((input) => !input || isFixed(input));
      known.set(value, fixed);
    }
    return fixed;
  };
  return isFixed;
}

const computed = ({ inputs }: Node): Value[] =>
  inputs.filter((input): input is Value => input !== undefined && !input.constant);

/** Whether a block weighs places by one another: it multiplies two values that are both computed of the image. */
function attends({ layers }: Block): boolean {
  const begin = layers[0]?.node.inputs[0];
  const seen = new Set<Value | undefined>([begin]);
  const open = layers.map(({ output }) => output);
  for (const value of open) {
    if (seen.has(value)) continue;
    seen.add(value);
    const { producer } = value;
    if (!producer) continue;
    const read = computed(producer);
    if (producer.op === 'Attention' || (producer.op === 'MatMul' && read.length > 1)) return true;
    open.push(...read);
  }
  return false;
}

/** What bends no line by itself; products and sums are a part of SiLU and GELU. */
const STRAIGHT = /^(?:Add|Div|Mul|Sub|Reduce\w+|\w+Normalization)$/;

/**
 * The convolution whose result, bent by an activation and otherwise scaled at each place, is `value`; what scales may look at all places, as
 * the response normalization of ConvNeXt V2 does.
 */
function activatedConv(value: Value): Node | undefined {
  let conv: Node | undefined;
  let isBent = false;
  const seen = new Set<Value>();
  const open = [value];
  for (const each of open) {
    if (seen.has(each)) continue;
    seen.add(each);
    const { producer } = each;
    if (producer?.op === 'Conv' && (conv === undefined || conv === producer)) {
      conv = producer;
      continue;
    }
    if (!producer || !scales(producer)) return undefined;
    isBent ||= !STRAIGHT.test(producer.op);
    open.push(...computed(producer));
  }
  const map = conv?.output().shape;
  // What is pooled has other places.
  const isWhole = value.shape?.every((dim, axis) => axis < 2 || dim === map?.[axis]) === true;
  return isBent && isWhole ? conv : undefined;
}

function scales(node: Node): boolean {
  const works = operatorOf(node)?.works;
  return (
    works === 'elementwise' || works === 'pairwise' || node.op.endsWith('Normalization') || node.op.startsWith('Reduce')
  );
}
