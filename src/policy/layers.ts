import type { Graph, Node, Value } from '../graph/graph.js';
import { ancestors } from '../graph/order.js';
import { infersShapeOf } from '../graph/shapes.js';
import { type Classwise, findClasswise, findHeads } from './heads.js';
import type { Layer } from './layer.js';
import { collectLayers } from './layerParts.js';
import { findParameters, type KeptTensor } from './parameters.js';
import { embeddingWith, noHead, refusalOfWeights, severalKinds } from './layerRefusals.js';

export interface LayerTable {
  /** On the main path, from input to head. */
  readonly convs: readonly Layer[];
  /** From the first FC layer to the classifier, which stands for all heads. */
  readonly fcs: readonly Layer[];
  /** Every layer with parameters, squeeze-excite gates included, as `full` trains them. */
  readonly all: readonly Layer[];
  /** The layers that give the scores; several where those are added or averaged. The last one is the last of `fcs`. */
  readonly heads: readonly Layer[];
  /** What changes with the number of classes. */
  readonly classwise: Classwise;
  /** Tensors of floating point that are no parameters. */
  readonly buffers: readonly KeptTensor[];
}

/**
 * Finds a classifier's layers. Convolutions that only scale the main path from a globally pooled map (squeeze-excite) are
 * in `all`, not in `convs`. `isClassifier` says that the result is known to be scores of classes, such as where a Softmax follows it.
 * @throws UserError `no-classifier` when no FC layer gives the result, or the result is an embedding.
 */
export function findLayers(graph: Graph, logits: Value, isClassifier = false): LayerTable {
  const nodes = ancestors(graph.nodes, [logits]);
  const parameters = findParameters(nodes, graph.inputs);
  const pooled = pooledValues(nodes, parameters.fixed);
  const onGate = gateNodes(nodes, pooled);

  const all = collectLayers(nodes, parameters);
  connectPointwise(all, onGate, pooled, logits);
  convolveMaps(all);
  const heads = headsOf(all, logits, { nodes, fixed: parameters.fixed, isClassifier });
  if (!all.some(({ kind }) => kind === 'conv')) {
    const refusal = refusalOfWeights(nodes);
    if (refusal) throw refusal;
  }
  const classes = logits.shape?.[1];
  const classwise =
    typeof classes === 'number'
      ? findClasswise(
          { nodes },
          heads.map(({ node }) => node),
          classes,
        )
      : { rows: [], shapes: [] };
  const layers = withHeads(all, heads, rowsOf(classwise, parameters.of));
  const isHead = (layer: Layer) => heads.some(({ node }) => node === layer.node);
  const last = layers.findLast(isHead);
  const main = layers.filter((layer) => !onGate.has(layer.node) && (layer === last || !isHead(layer)));
  return {
    convs: main.filter(({ kind }) => kind === 'conv'),
    fcs: [...main.filter((layer) => layer.kind === 'fc' && layer !== last), ...(last ? [last] : [])],
    all: layers,
    heads: layers.filter(isHead),
    classwise,
    buffers: parameters.buffers,
  };
}

interface HeadContext {
  readonly nodes: readonly Node[];
  readonly fixed: ReadonlySet<Node>;
  readonly isClassifier: boolean;
}

/** @throws UserError `no-classifier`, and what weights are refused with that no policy can train. */
function headsOf(all: readonly Layer[], logits: Value, { nodes, fixed, isClassifier }: HeadContext): Layer[] {
  const layerAt = new Map(all.map((layer) => [layer.node, layer]));
  const canEnd = (node: Node) => {
    const layer = layerAt.get(node);
    if (layer?.kind !== 'conv') return layer?.kind === 'fc';
    return node.op !== 'Conv' || (isClassifier && isPointwise(node));
  };
  if (logits.shape && !isRows(logits)) throw noHead(logits, [], undefined);
  const found = findHeads(logits, canEnd, fixed);
  const stray = found.stray?.producer;
  const last = all.findLast(({ kind }) => kind === 'fc');
  const isUnknown = stray !== undefined && !infersShapeOf(stray);
  // What cannot be looked through is told of later, with what it keeps from training.
  if (last && (isUnknown || !logits.shape)) return [last];
  const heads = found.nodes.flatMap((node) => layerAt.get(node) ?? []);
  const [norm] = found.normalizations;
  const embeds = found.divides ?? (isClassifier ? undefined : norm);
  if (embeds && heads.length > 0) throw embeddingWith(embeds, logits);
  const isActivated =
    !isClassifier && heads.some(({ node }) => !isRows(node.output()) && node.op === 'Conv') && found.bends;
  if (heads.length === 0 || found.stray || isActivated)
    throw refusalOfWeights(nodes) ?? noHead(logits, heads, found.stray);
  if (heads.length > 1 && heads.some(({ node }) => !isRows(node.output()))) throw severalKinds(heads, logits);
  return heads;
}

const isRows = ({ shape }: Value) => shape?.slice(2).every((dim) => dim === 1) === true;

/** The parameters that have a row for each class. */
function rowsOf({ rows }: Classwise, of: (value: Value | undefined) => readonly Value[]): Set<Value> {
  return new Set(rows.flatMap(({ node, input }) => of(node.inputs[input])));
}

/** Gives the last head what else has a row for each class, which another layer had. */
function withHeads(all: readonly Layer[], heads: readonly Layer[], rows: ReadonlySet<Value>): Layer[] {
  const owned = new Set(heads.flatMap(({ parameters }) => parameters));
  const more = [...rows].filter((value) => !owned.has(value));
  const last = heads.at(-1);
  return all.flatMap((layer): Layer[] => {
    if (heads.includes(layer)) {
      const norm =
        layer === last
          ? all.find(({ norm, parameters }) => norm && parameters.some((each) => more.includes(each)))?.norm
          : undefined;
      return [
        {
          ...layer,
          kind: 'fc',
          parameters: layer === last ? [...layer.parameters, ...more] : layer.parameters,
          norm: layer.norm ?? norm,
        },
      ];
    }
    const parameters = layer.parameters.filter((value) => !more.includes(value));
    if (parameters.length === layer.parameters.length) return [layer];
    const shift = layer.shift && parameters.includes(layer.shift) ? layer.shift : undefined;
    return parameters.length > 0 ? [{ ...layer, parameters, shift }] : [];
  });
}

/**
 * Takes for FC layers the convolutions that are such in all but name: 1×1 behind the global pooling (MobileNetV3 of Keras), over the
 * whole map (VGG as a convolutional network), and a last 1×1 one that gives the classes before they are pooled (SqueezeNet).
 */
function connectPointwise(all: Layer[], onGate: ReadonlySet<Node>, pooled: ReadonlySet<Value>, logits: Value): void {
  const classes = logits.shape?.[1];
  const isMain = ({ kind, node }: Layer) => (kind === 'fc' || kind === 'conv') && !onGate.has(node);
  const last = all.findLast(isMain);
  all.forEach((layer, index) => {
    if (layer.kind !== 'conv' || layer.node.op !== 'Conv' || !isMain(layer)) return;
    if (coversMap(layer.node)) all[index] = { ...layer, kind: 'fc' };
    if (!isPointwise(layer.node)) return;
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
    const [images, ...inner] = layer.node.output().shape ?? [];
    const isMany = typeof images === 'object' && images.batch > 1;
    const isMap =
      layer.kind === 'fc' && layer.node.op !== 'Conv' && (isMany || inner.slice(0, -1).some((size) => size !== 1));
    if (isMap) all[index] = { ...layer, kind: 'conv' };
  });
}

function isPointwise(node: Node): boolean {
  const [, , ...kernel] = node.inputs[1]?.shape ?? [];
  const isOne = (list: readonly unknown[] | undefined) => (list ?? []).every((n) => n === 1);
  return isOne(kernel) && isOne(node.ints('strides')) && isUnpadded(node) && node.int('group', 1) === 1;
}

const isUnpadded = (node: Node) => (node.ints('pads') ?? []).every((n) => n === 0);

/** Whether a convolution's kernel is as large as the map that it reads, of more than one place, so that it gives one. */
function coversMap(node: Node): boolean {
  const [kernel, map] = [node.inputs[1]?.shape?.slice(2) ?? [], node.inputs[0]?.shape?.slice(2) ?? []];
  const covers = kernel.length === map.length && kernel.every((size, axis) => size === map[axis]);
  return covers && kernel.some((size) => size !== 1) && isUnpadded(node) && node.int('group', 1) === 1;
}

/** Values that a global pooling, or a convolution over the whole map, has reduced, and all that is computed from them alone. */
function pooledValues(nodes: readonly Node[], fixed: ReadonlySet<Node>): Set<Value> {
  const pooled = new Set<Value>();
  for (const node of nodes) {
    if (fixed.has(node)) continue;
    const isData = (value: Value | undefined): value is Value =>
      value !== undefined && !value.constant && !(value.producer && fixed.has(value.producer));
    const data = node.inputs.filter(isData);
    const derived = data.length > 0 && data.every((value) => pooled.has(value));
    if (derived || isGlobalPool(node)) for (const output of node.outputs) if (output) pooled.add(output);
  }
  return pooled;
}

function isGlobalPool(node: Node): boolean {
  if (node.op === 'GlobalAveragePool' || node.op === 'GlobalMaxPool') return true;
  const from = node.inputs[0]?.shape;
  if (from?.length !== 4) return false;
  if (node.op === 'Conv') return coversMap(node);
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
