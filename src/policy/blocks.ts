import { UserError } from '../errors.js';
import { consumersOf, type Graph, type Node, type Value } from '../graph/graph.js';
import { ancestors, descendants } from '../graph/order.js';
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
 * - a segment of several paths that ends in an Add or a Concat and holds layers (with a shortcut: He et al. 2016), or
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
  const readers = consumersOf(graph.nodes);
  const isReadLinearly = (value: Value): boolean =>
    readers.get(value)?.every((node) => {
      if (node.op === 'Conv') return true;
      const computed = node.inputs.filter((input) => input && !input.constant);
      if (computed.some((input) => input !== value)) return JOINS.has(node.op);
      const isSquare = node.op === 'Mul' && computed.length > 1;
      return (JOINS.has(node.op) || PASSING.has(node.op)) && !isSquare && isReadLinearly(node.output());
    }) === true;

  const blocks: Block[] = [];
  let shortcuts = 0;
  let pending: Layer[] = [];
  for (const { nodes, isJoined } of segmentsOf(graph)) {
    const layers = nodes.flatMap((node) => layerOf.get(node) ?? []);
    if (isJoined && layers.some((layer) => main.has(layer))) {
      blocks.push({ layers });
      shortcuts++;
      pending = [];
      continue;
    }
    for (const layer of layers) {
      if (layer === convs[0]) continue;
      pending.push(layer);
      if (layer.kind !== 'conv' || !main.has(layer) || !isReadLinearly(layer.output)) continue;
      if (pending.filter((each) => main.has(each)).length > 1) blocks.push({ layers: pending });
      pending = [];
    }
  }
  return shortcuts > 0 ? blocks : [];
}

interface Segment {
  readonly nodes: readonly Node[];
  /** Whether several paths meet at its end. */
  readonly isJoined: boolean;
}

/** Parts the nodes between image and result at every value that all paths pass. */
function segmentsOf(graph: Graph): Segment[] {
  const { nodes, values } = descendants(ancestors(graph.nodes, graph.outputs), graph.inputs);
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
    segments.push({ nodes: current, isJoined: inputs.size > 1 && JOINS.has(node.op) });
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
