import { bytesPerElement, elementCount } from '../onnx/tensor.js';
import { bindShape, type Graph, type Node, type Value } from './graph.js';
import { multiplyAdds } from './cost.js';
import { ancestors, constantNodes, descendants } from './order.js';
import { infersShapeOf } from './shapes.js';
import { countsImages } from './stacking/imageCount.js';

/**
 * What one multiply-add of recomputing frozen work in every step is worth, in bytes of boundary. Two cores reach some
 * 5·10¹⁰ multiply-adds a second and read a cache at 10⁹ bytes a second.
 */
const BYTES_PER_MULTIPLY_ADD = 1 / 50;

export interface Cut {
  /** Values that the frozen part hands to the trained part. */
  readonly boundary: readonly Value[];
  readonly frozen: readonly Node[];
  readonly trained: readonly Node[];
}

/**
 * Parts a graph before everything that depends on a trainable value, by a minimum cut: each value that crosses costs its
 * bytes an image once, each frozen node left to the trained part its multiply-adds.
 */
export function cutGraph(graph: Graph, trainable: ReadonlySet<Value>): Cut {
  const needed = ancestors(graph.nodes, graph.outputs);
  // Either part counts its images itself.
  const counts = new Set(needed.filter(countsImages).map((node) => node.output()));
  const nodes = needed.filter((node) => !counts.has(node.output()));
  const trainedNodes = new Set(descendants(nodes, trainable).nodes);
  // What follows from constants is no photo's: each side has it for itself.
  const fixed = new Set([...constantNodes(nodes)].filter((node) => !trainedNodes.has(node)));
  const data = (value: Value | undefined): value is Value =>
    value !== undefined &&
    !value.constant &&
    !trainable.has(value) &&
    !counts.has(value) &&
    !(value.producer && fixed.has(value.producer));

  // Every value is two vertices joined by an edge of its bytes; a node joins its inputs' second to its outputs' first.
  const network = new FlowNetwork();
  const source = network.vertex();
  const sink = network.vertex();
  const before = new Map<Value, number>();
  const after = new Map<Value, number>();
  const values = new Set(
    [...graph.inputs, ...nodes.flatMap((node) => (trainedNodes.has(node) ? [] : node.outputs))].filter(data),
  );
  for (const value of values) {
    const [a, b] = [network.vertex(), network.vertex()];
    before.set(value, a);
    after.set(value, b);
    network.edge(a, b, isKeepable(value) ? bytesOf(value) : UNKEPT);
  }
  const at = (map: Map<Value, number>, value: Value): number => {
    const vertex = map.get(value);
    if (vertex === undefined) throw new Error(`value "${value.name}" is on neither side of the cut`);
    return vertex;
  };
  for (const input of graph.inputs) if (values.has(input)) network.edge(source, at(before, input), Infinity);
  for (const node of nodes) {
    if (fixed.has(node)) continue;
    const inputs = node.inputs.filter(data);
    if (trainedNodes.has(node)) {
      for (const input of inputs) if (values.has(input)) network.edge(at(after, input), sink, Infinity);
      continue;
    }
    // On the sink's side a frozen node is computed again in every step, and needs its inputs there.
    const vertex = network.vertex();
    // The trained part must know every shape: what hides one stays on the frozen side.
    const isFollowed = infersShapeOf(node) && !node.output().isAssumed;
    network.edge(source, vertex, isFollowed ? multiplyAdds(node) * BYTES_PER_MULTIPLY_ADD : Infinity);
    for (const input of inputs) network.edge(at(after, input), vertex, Infinity);
    for (const output of node.outputs.filter(data)) network.edge(vertex, at(before, output), Infinity);
  }
  for (const output of graph.outputs) if (values.has(output)) network.edge(at(after, output), sink, Infinity);

  const frozenSide = network.sourceSideOfMinimumCut(source, sink);
  const boundary = [...values].filter(
    (value) => frozenSide.has(at(before, value)) && !frozenSide.has(at(after, value)),
  );
  return {
    boundary,
    frozen: ancestors(needed, boundary),
    trained: neededFrom(needed, boundary, graph.outputs),
  };
}

/** What a value costs that cannot be kept for each image: more than to compute anything again, less than what is hidden. */
const UNKEPT = 1e13;

/** Whether a value holds numbers for each image that can be kept with it; one whose shape is hidden is refused elsewhere. */
function isKeepable({ shape, dtype }: Value): boolean {
  const [images] = shape ?? [];
  if (!shape || !dtype) return true;
  return dtype !== 'bool' && !dtype.startsWith('int') && typeof images === 'object' && images.batch === 1;
}

/** Those of `nodes` that the outputs need when the boundary is given. */
function neededFrom(nodes: readonly Node[], boundary: readonly Value[], outputs: readonly Value[]): Node[] {
  const given = new Set(boundary);
  const needed = new Set<Value>(outputs);
  return nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((output) => output && needed.has(output) && !given.has(output))) return false;
      // Anything else that is given for each image counts them as well.
      if (!countsImages(node)) for (const input of node.inputs) if (input) needed.add(input);
      return true;
    })
    .reverse();
}

/** A value's bytes for one image. */
export function bytesOf(value: Value): number {
  if (!value.shape || !value.dtype) return Number.MAX_SAFE_INTEGER;
  return elementCount(bindShape(value.shape, 1)) * bytesPerElement(value.dtype);
}

/** What is left of an edge's capacity after rounding. */
const NO_ROOM = 1e-6;

/** Maximum flow by shortest augmenting paths (Edmonds and Karp 1972); graphs here have a few hundred vertices. */
class FlowNetwork {
  private readonly heads: number[] = [];
  private readonly room: number[] = [];
  private readonly edges: number[][] = [];

  vertex(): number {
    return this.edges.push([]) - 1;
  }

  edge(from: number, to: number, capacity: number): void {
    this.edges[from]?.push(this.heads.push(to) - 1);
    this.room.push(capacity);
    this.edges[to]?.push(this.heads.push(from) - 1);
    this.room.push(0);
  }

  sourceSideOfMinimumCut(source: number, sink: number): Set<number> {
    for (;;) {
      const leavesBy = this.searchBack(source, sink);
      if (!leavesBy.has(source)) return this.reachedFrom(source);
      const path: number[] = [];
      for (let vertex = source; vertex !== sink;) {
        const edge = leavesBy.get(vertex) ?? 0;
        path.push(edge);
        vertex = this.heads[edge] ?? sink;
      }
      const flow = path.reduce((least, edge) => Math.min(least, this.room[edge] ?? 0), Infinity);
      if (!Number.isFinite(flow)) throw new Error('the trained part reads the input through a path that cannot be cut');
      for (const edge of path) {
        this.room[edge] = (this.room[edge] ?? 0) - flow;
        this.room[edge ^ 1] = (this.room[edge ^ 1] ?? 0) + flow;
      }
    }
  }

  /**
   * Breadth first from the sink, through edges that have room, until the source is found: by which edge each vertex leads to
   * the sink. The source reaches every vertex in a step or two, while what lies before a bottleneck near the sink stays
   * unvisited from this side.
   */
  private searchBack(source: number, sink: number): Map<number, number> {
    const leavesBy = new Map<number, number>();
    const queue = [sink];
    for (const vertex of queue) {
      for (const back of this.edges[vertex] ?? []) {
        const edge = back ^ 1;
        const tail = this.heads[back] ?? sink;
        if (tail === sink || leavesBy.has(tail) || (this.room[edge] ?? 0) <= NO_ROOM) continue;
        leavesBy.set(tail, edge);
        if (tail === source) return leavesBy;
        queue.push(tail);
      }
    }
    return leavesBy;
  }

  /** All that edges with room lead to from `source`: the frozen side of the cut that lies nearest to it. */
  private reachedFrom(source: number): Set<number> {
    const reached = new Set([source]);
    for (const vertex of reached) {
      for (const edge of this.edges[vertex] ?? []) {
        if ((this.room[edge] ?? 0) > NO_ROOM) reached.add(this.heads[edge] ?? source);
      }
    }
    return reached;
  }
}
