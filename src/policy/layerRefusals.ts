import { UserError } from '../errors.js';
import { describe, type Node, showShape, type Value } from '../graph/graph.js';
import type { Layer } from './layer.js';

const FRESH = '‹head› puts a new fully connected layer on it, and ‹head› NAME one on another value of the model';

/** The error for a model that ends in `node`, which makes an embedding of what a layer gives. */
export function embeddingWith(node: Node, { shape }: Value): UserError {
  return new UserError(
    'no-classifier',
    `${describe(node)} normalizes what the model gives, so that its result ${showShape(shape)} is an embedding, not scores of classes; ${FRESH}`,
  );
}

/** The error for a result that no fully connected layer gives. */
export function noHead({ name, shape }: Value, heads: readonly Layer[], stray: Value | undefined): UserError {
  const found =
    heads.length === 0
      ? 'the model does not end in a fully connected layer (Gemm, MatMul, Einsum, or a convolution that gives one place)'
      : `the model's result comes from ${namesOf(heads)} and also from "${stray?.name ?? '?'}", which is no fully connected layer`;
  const places = shape?.slice(1).filter((dim) => dim !== 1) ?? [];
  const what =
    places.length > 1
      ? 'tells of many places, as features, boxes and masks do, not of the image'
      : 'is made of features';
  return new UserError(
    'no-classifier',
    `${found}, so there is no head to replace: its result "${name}" ${showShape(shape)} ${what}; ${FRESH}`,
  );
}

/** The error for a result that layers over maps give together. */
export function severalKinds(heads: readonly Layer[], { shape }: Value): UserError {
  return new UserError(
    'no-classifier',
    `the model's result ${showShape(shape)} is the sum of what several layers give for many places (${namesOf(heads)}), so it is features, not scores of classes; ${FRESH}`,
  );
}

const namesOf = (layers: readonly Layer[]) => layers.map(({ name }) => `"${name}"`).join(', ');

/** What to say where layers are missing because their weights are not float32. */
export function refusalOfWeights(nodes: readonly Node[]): UserError | undefined {
  const quantized = nodes.find(({ op }) => /^(QLinear|Quantize|Dequantize|DynamicQuantize)|Integer|NBits$/.test(op));
  if (quantized) {
    return new UserError(
      'quantized-model',
      `${describe(quantized)} computes with quantized weights, which cannot be trained; take the float32 model that this one was made from`,
    );
  }
  for (const node of nodes) {
    const dtype = node.inputs[1]?.constant?.dtype;
    if (['Conv', 'Gemm', 'MatMul'].includes(node.op) && dtype && dtype !== 'float32')
      return new UserError(
        'unsupported-dtype',
        `the weights of ${describe(node)} are ${dtype}; ort-tl trains float32 models, so convert it`,
      );
  }
  return undefined;
}
