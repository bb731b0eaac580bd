import { UserError } from '../errors.js';
import { consumersOf, type Graph, type Node, type Value } from '../graph/graph.js';
import { ancestors, descendants } from '../graph/order.js';
import { countsImages } from '../graph/stacking/imageCount.js';
import type { Layer } from './layer.js';
import type { LayerTable } from './layers.js';

/** A run of layers that should train wholly or not at all. */
export interface Block {
  /** Squeeze-excite gates included, from input to head. */
  readonly layers: readonly Layer[];
}

/** Operators by which a shortcut joins what it went round. */
const JOINS: ReadonlySet<string> = new Set(['Add', 'Sum', 'Concat']);
/** What may stand between a linear bottleneck and the layer that reads it, besides joins; also a normalization that was taken apart. */
const PASSING: ReadonlySet<string> = new Set(['Pad', 'Transpose', 'Mul', 'Sub']);

/**
 * The blocks of a residual network, from input to head. Values that every path from the image to the result passes part the
 * graph into segments; a block is
 * - a segment of several paths that ends in an Add or a Concat and holds layers (with a shortcut: He et al. 2016),
 * - two such segments where the first mixes places, by attention or place by place, and the second is a perceptron of several layers:
 *   the two halves of a transformer's block (Vaswani et al. 2017), or
 * - between such segments, convolutions up to a linear bottleneck, that is one whose output meets no activation (the blocks
 *   of Sandler et al. 2018 that change the number of channels or the resolution, and so have no shortcut). One convolution
 *   alone is no block (a downsampling layer, as ConvNeXt has it), nor is the first, which reads the image.
 *
 * Empty for a network without shortcuts.
 */
export function findBlocks(graph: Graph, { all, convs, heads }: LayerTable): Block[] {
  // Heads whose scores are added are no block.
  const layerOf = new Map(all.filter((layer) => !heads.includes(layer)).map((layer) => [layer.node, layer]));
  const main = new Set<Layer>([...convs, ...all.filter(({ kind }) => kind === 'fc')]);
  const isReadLinearly = linearReading(consumersOf(graph.nodes));

  const blocks: Block[] = [];
  let shortcuts = 0;
  let pending: Layer[] = [];
  /** Layers that mix places, whose perceptron is still to come. */
  let mixing: readonly Layer[] | undefined;
  for (const segment of segmentsOf(graph)) {
    const layers = segment.nodes.flatMap((node) => layerOf.get(node) ?? []);
    const counted = layers.filter((layer) => main.has(layer));
    const mixes = mixesPlaces(segment, counted);
    if (segment.isJoined && counted.length > 0) {
      // Attention that changes the resolution has no shortcut, and its last layer stands apart.
      const isBlock = blocks.at(-1)?.layers === mixing;
      const between = pending.filter((layer) => main.has(layer) && !isDepthwise(layer)).length;
      if (mixing && !mixes && isPerceptron(counted) && between <= (isBlock ? 0 : 1)) {
        if (isBlock) blocks.pop();
        blocks.push({ layers: [...mixing, ...pending, ...layers] });
        mixing = undefined;
      } else {
        blocks.push({ layers });
        mixing = mixes ? layers : undefined;
      }
      shortcuts++;
      pending = [];
      continue;
    }
    if (mixes || (segment.isJoined && layers.length > 0)) {
      // Without layers of its own that count, or without a shortcut, as where attention changes the resolution.
      mixing = [...pending.filter((layer) => layer !== convs[0]), ...layers];
      pending = [];
      continue;
    }
    for (const layer of layers) {
      if (layer === convs[0]) continue;
      pending.push(layer);
      if (layer.kind !== 'conv' || !main.has(layer) || !isReadLinearly(layer.output)) continue;
      if (pending.filter((each) => main.has(each)).length > 1) {
        blocks.push({ layers: pending });
        mixing = undefined;
      }
      pending = [];
    }
  }
  return shortcuts > 0 ? blocks : [];
}

/** Tells whether a value meets no activation before the layers that read it. */
function linearReading(readers: ReadonlyMap<Value, readonly Node[]>): (value: Value) => boolean {
  const isReadLinearly = (value: Value): boolean =>
    readers.get(value)?.every((node) => {
      if (node.op === 'Conv') return true;
      const computed = node.inputs.filter((input) => input && !input.constant);
      if (computed.some((input) => input !== value)) return JOINS.has(node.op);
      const isSquare = node.op === 'Mul' && computed.length > 1;
      return (JOINS.has(node.op) || PASSING.has(node.op)) && !isSquare && isReadLinearly(node.output());
    }) === true;
  return isReadLinearly;
}

/**
 * Whether a segment mixes places and leaves the perceptron to another: attention with at most one layer behind it, or depthwise
 * convolutions alone.
 */
function mixesPlaces({ nodes, values, isJoined }: Segment, counted: readonly Layer[]): boolean {
  const isComputed = (value: Value | undefined) => value !== undefined && values.has(value);
  const last = nodes.findLastIndex(
    ({ op, inputs }) => op === 'Softmax' || (op === 'MatMul' && inputs.slice(0, 2).every(isComputed)),
  );
  if (last >= 0) return counted.filter((layer) => nodes.indexOf(layer.node) > last && !isDepthwise(layer)).length < 2;
  return isJoined && counted.length > 0 && counted.every(isDepthwise);
}

/** Whether layers work place by place, but for convolutions of single channels, and there are two at least. */
function isPerceptron(counted: readonly Layer[]): boolean {
  const dense = counted.filter((layer) => !isDepthwise(layer));
  const isPointwise = ({ node }: Layer) =>
    node.op !== 'Conv' || (node.inputs[1]?.shape?.slice(2) ?? []).every((size) => size === 1);
  return dense.length > 1 && dense.every(isPointwise);
}

function isDepthwise({ node }: Layer): boolean {
  const channels = node.inputs[0]?.shape?.[1];
  return node.op === 'Conv' && channels !== 1 && node.int('group', 1) === channels;
}

interface Segment {
  readonly nodes: readonly Node[];
  /** What is computed of the image. */
  readonly values: ReadonlySet<Value>;
  /** Whether several paths meet at its end. */
  readonly isJoined: boolean;
}

/** Parts the nodes between image and result at every value that all paths pass. */
function segmentsOf(graph: Graph): Segment[] {
  const needed = ancestors(graph.nodes, graph.outputs).filter((node) => !countsImages(node));
  const { nodes, values } = descendants(needed, graph.inputs);
  const unread = new Map<Value, number>();
  for (const [value, list] of consumersOf(nodes)) if (values.has(value)) unread.set(value, list.length);
  // In topological order such a value is the only one that is still to be read.
  const live = new Set<Value>(graph.inputs);
  const segments: Segment[] = [];
  let current: Node[] = [];
  for (const node of nodes) {
    current.push(node);
    const inputs = new Set(node.inputs.filter((input): input is Value => input !== undefined && values.has(input)));
    for (const input of inputs) {
      const left = (unread.get(input) ?? 0) - 1;
      unread.set(input, left);
      if (left === 0) live.delete(input);
    }
    for (const output of node.outputs) if (output && unread.has(output)) live.add(output);
    if (live.size > 1) continue;
    segments.push({ nodes: current, values, isJoined: inputs.size > 1 && JOINS.has(node.op) });
    current = [];
  }
  return segments;
}

/** `"/blocks/0/expand/Conv" to "/blocks/0/project/Conv"`. */
export const describeBlock = ({ layers }: Block): string =>
  `"${layers[0]?.name ?? ''}" to "${layers.at(-1)?.name ?? ''}"`;

/**
 * The layers from the last `count` blocks on.
 * @throws UserError `bad-policy` when there are not so many blocks.
 */
export function layersFromBlock(blocks: readonly Block[], count: number, all: readonly Layer[]): Layer[] {
  const first = blocks.at(-count)?.layers[0];
  if (!first) {
    throw new UserError(
      'bad-policy',
      blocks.length === 0
        ? `policy blocks:${count} needs residual blocks, and the model has no shortcut that would make one; choose a policy such as F1C${count} or layers:<names> (‹policy›)`
        : `policy blocks:${count} asks for ${count} blocks, but the model has ${blocks.length}; choose blocks:${blocks.length} or full (‹policy›)`,
    );
  }
  return all.slice(all.indexOf(first));
}
