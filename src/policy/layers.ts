import { UserError } from '../errors.js';
import { consumersOf, describe, type Graph, type Node, sameDim, type Value } from '../graph/graph.js';
import { ancestors } from '../graph/order.js';

/** A layer that a policy can choose: its operator, and the parameters that train with it. */
export interface Layer {
  /** A `norm` is a normalization that follows no convolution, as DenseNet and ConvNeXt have them; `F{x}C{y}` does not count it. */
  readonly kind: 'fc' | 'conv' | 'norm';
  readonly name: string;
  readonly node: Node;
  /** What it writes, its bias and its BatchNormalization included. */
  readonly output: Value;
  /** Its weight, bias, scale and shift, in this order, as far as it has them. */
  readonly parameters: readonly Value[];
}

export interface LayerTable {
  /** On the main path, from input to head. */
  readonly convs: readonly Layer[];
  /** From the first FC layer to the classifier. */
  readonly fcs: readonly Layer[];
  /** Every layer with parameters, squeeze-excite gates included, as `full` trains them. */
  readonly all: readonly Layer[];
}

/**
 * Finds a classifier's layers. Convolutions that only scale the main path from a globally pooled map (squeeze-excite) are
 * in `all`, not in `convs`.
 * @throws UserError `no-classifier` when no FC layer leads to the output, `no-conv` when there is no convolution.
 */
export function findLayers(graph: Graph, logits: Value): LayerTable {
  const nodes = ancestors(graph.nodes, [logits]);
  const consumers = consumersOf(nodes);
  const pooled = pooledValues(nodes);
  const onGate = gateNodes(nodes, pooled);

  const all: Layer[] = [];
  const within = new Set<Node>();
  for (const node of nodes) {
    const layer = layerOf(node, consumers) ?? (within.has(node) ? undefined : normOf(node));
    if (!layer) continue;
    all.push(layer);
    if (layer.output.producer) within.add(layer.output.producer);
  }
  connectPointwise(all, onGate, pooled, logits);
  convolveMaps(all);
  const fcs = all.filter(({ kind, node }) => kind === 'fc' && !onGate.has(node));
  const convs = all.filter(({ kind, node }) => kind === 'conv' && !onGate.has(node));
  const head = fcs.at(-1);
  if (!head || ancestors(nodes.slice(nodes.indexOf(head.node) + 1), [logits]).some(({ op }) => op === 'Conv')) {
    throw (
      refusalOfWeights(nodes) ??
      new UserError(
        'no-classifier',
        'the model does not end in a fully connected layer (Gemm, MatMul and Add, or a 1×1 convolution), so there is no head to replace; ort-tl trains image classifiers',
      )
    );
  }
  if (convs.length === 0)
    throw (
      refusalOfWeights(nodes) ??
      new UserError('no-conv', 'the model has no convolution; ort-tl trains convolutional image classifiers')
    );
  return { convs, fcs, all };
}

/**
 * Takes for FC layers the 1×1 convolutions that are such in all but name: those behind the global pooling (MobileNetV3 of
 * Keras), and a last one that gives the classes before they are pooled (SqueezeNet).
 */
function connectPointwise(all: Layer[], onGate: ReadonlySet<Node>, pooled: ReadonlySet<Value>, logits: Value): void {
  const classes = logits.shape?.at(-1);
  const isMain = ({ kind, node }: Layer) => kind !== 'norm' && !onGate.has(node);
  const last = all.findLast(isMain);
  all.forEach((layer, index) => {
    if (layer.kind !== 'conv' || !isMain(layer) || !isPointwise(layer.node)) return;
    const [, channels] = layer.node.output().shape ?? [];
    const isHead = layer === last && channels === classes && layer.output === layer.node.output();
    if (pooled.has(layer.node.input(0)) || isHead) all[index] = { ...layer, kind: 'fc' };
  });
}

/**
 * A MatMul over a map [N, H, W, C], as in ConvNeXt's blocks, or over tokens [N, L, C], is a 1×1 convolution in all but name; also
 * where the places of an image are rows, [L·N, C].
 */
function convolveMaps(all: Layer[]): void {
  all.forEach((layer, index) => {
    const [images = 1, ...inner] = layer.output.shape ?? [];
    const isMatrix = layer.node.op === 'MatMul' || layer.node.op === 'Gemm';
    const hasPlaces = !sameDim(images, { batch: 1 }) || inner.slice(0, -1).some((size) => size !== 1);
    const isMap = isMatrix && layer.output.shape !== undefined && hasPlaces;
    if (isMap) all[index] = { ...layer, kind: 'conv' };
  });
}

function isPointwise(node: Node): boolean {
  const [, , ...kernel] = node.inputs[1]?.shape ?? [];
  const isOne = (list: readonly unknown[] | undefined) => (list ?? []).every((n) => n === 1);
  const isUnpadded = (node.ints('pads') ?? []).every((n) => n === 0);
  return isOne(kernel) && isOne(node.ints('strides')) && isUnpadded && node.int('group', 1) === 1;
}

/** What to say where layers are missing because their weights are not float32. */
function refusalOfWeights(nodes: readonly Node[]): UserError | undefined {
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

function layerOf(node: Node, consumers: Map<Value, Node[]>): Layer | undefined {
  const isConstant = (value: Value | undefined): value is Value => value?.constant?.dtype === 'float32';
  const only = (value: Value): Node | undefined => {
    const list = consumers.get(value);
    return list?.length === 1 ? list[0] : undefined;
  };
  if (node.domain !== '') return undefined;
  let output = node.output();
  if (node.op === 'Conv' && isConstant(node.inputs[1])) {
    const parameters = [node.inputs[1], ...(isConstant(node.inputs[2]) ? [node.inputs[2]] : [])];
    const norm = only(output);
    if (norm?.op === 'BatchNormalization' && isConstant(norm.inputs[1]) && isConstant(norm.inputs[2])) {
      parameters.push(norm.inputs[1], norm.inputs[2]);
      output = norm.output();
    }
    return { kind: 'conv', name: node.name, node, output, parameters };
  }
  if (node.op === 'Gemm' && isConstant(node.inputs[1])) {
    const parameters = [node.inputs[1], ...(isConstant(node.inputs[2]) ? [node.inputs[2]] : [])];
    return { kind: 'fc', name: node.name, node, output, parameters };
  }
  if (node.op === 'MatMul' && isConstant(node.inputs[1])) {
    const add = only(output);
    const bias = add?.op === 'Add' ? add.inputs.find(isConstant) : undefined;
    if (add && bias) output = add.output();
    return { kind: 'fc', name: node.name, node, output, parameters: bias ? [node.inputs[1], bias] : [node.inputs[1]] };
  }
  return undefined;
}

const NORMALIZATIONS: ReadonlySet<string> = new Set([
  'BatchNormalization',
  'GroupNormalization',
  'InstanceNormalization',
  'LayerNormalization',
  'RMSNormalization',
  'SimplifiedLayerNormalization',
]);

function normOf(node: Node): Layer | undefined {
  if (node.domain !== '' || !NORMALIZATIONS.has(node.op)) return undefined;
  const parameters = node.inputs.slice(1, 3).filter((value): value is Value => value?.constant?.dtype === 'float32');
  return parameters.length === 0
    ? undefined
    : { kind: 'norm', name: node.name, node, output: node.output(), parameters };
}

/** Values that a global pooling has reduced, and all that is computed from them alone. */
function pooledValues(nodes: readonly Node[]): Set<Value> {
  const pooled = new Set<Value>();
  for (const node of nodes) {
    const data = node.inputs.filter((input): input is Value => input !== undefined && !input.constant);
    const derived = data.length > 0 && data.every((value) => pooled.has(value));
    if (derived || isGlobalPool(node)) for (const output of node.outputs) if (output) pooled.add(output);
  }
  return pooled;
}

function isGlobalPool(node: Node): boolean {
  if (node.op === 'GlobalAveragePool' || node.op === 'GlobalMaxPool') return true;
  const from = node.inputs[0]?.shape;
  if (from?.length !== 4) return false;
  if (node.op === 'AveragePool') {
    const kernel = node.ints('kernel_shape');
    return kernel?.every((size, axis) => size === from[axis + 2]) === true && (from[2] !== 1 || from[3] !== 1);
  }
  if (node.op !== 'ReduceMean') return false;
  const axes = node.inputs[1]?.constant
    ? Array.from(node.inputs[1].constant.data as BigInt64Array, Number)
    : node.ints('axes');
  const spatial = axes?.map((axis) => (axis < 0 ? axis + 4 : axis)).sort((a, b) => a - b);
  // Channels come second, or last.
  return spatial?.join() === '2,3' || spatial?.join() === '1,2';
}

/** The nodes between a global pooling and the place where their result joins a map that was not pooled. */
function gateNodes(nodes: readonly Node[], pooled: ReadonlySet<Value>): Set<Node> {
  const joins = nodes.flatMap((node) => {
    if (node.outputs[0] && pooled.has(node.outputs[0])) return [];
    return node.inputs.filter((input): input is Value => input !== undefined && pooled.has(input));
  });
  return new Set(ancestors(nodes, joins).filter((node) => node.outputs.some((output) => output && pooled.has(output))));
}
