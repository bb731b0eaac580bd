import { bindShape, consumersOf, type Graph, type Node, type Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';

/** Which operators become whole numbers. */
export interface SelectionOptions {
  /** Among those that can; default all. */
  readonly operators?: ReadonlySet<string>;
  /** Whether the first convolution or fully connected layer stays in float; default false. */
  readonly keepsFirst?: boolean;
  /** Whether the last one does; default false. */
  readonly keepsLast?: boolean;
  /** Operators on maps that are larger, in pixels a side, stay in float; default none are. */
  readonly largestMap?: number;
}

/** Whether a node has weights that ONNX Runtime's CPU provider multiplies in whole numbers. */
export function isLayer(node: Node): boolean {
  const operator = operatorOf(node);
  return operator?.inWholeNumbers === true && operator.channelAxis !== undefined;
}

export interface Selection {
  /** By the names of their results. */
  readonly nodes: readonly string[];
  /** What goes into those nodes and comes out of them: the activations whose ranges are needed. */
  readonly values: readonly string[];
}

/** The operators of `graph` that are computed in whole numbers. BatchNormalizations must be folded. */
export function selectNodes(graph: Graph, options: SelectionOptions = {}): Selection {
  const { operators, keepsFirst = false, keepsLast = false, largestMap = Infinity } = options;
  const layers = graph.nodes.filter(isLayer);
  const kept = new Set([keepsFirst ? layers.at(0) : undefined, keepsLast ? layers.at(-1) : undefined]);
  const nodes = new Set(
    graph.nodes.filter(
      (node) =>
        operators?.has(node.op) !== false && isQuantizable(node) && !kept.has(node) && sideOf(node) <= largestMap,
    ),
  );
  const consumers = consumersOf(graph.nodes);
  const values = new Set<Value>();
  for (const node of nodes) {
    for (const input of isLayer(node) ? [node.input(0)] : node.inputs) if (input) values.add(input);
    values.add(clippedOutput(node, consumers, graph));
  }
  return { nodes: [...nodes].map((node) => node.output().name), values: [...values].map(({ name }) => name) };
}

function isQuantizable(node: Node): boolean {
  if (node.domain !== '' || !operatorOf(node)?.inWholeNumbers || node.output().dtype !== 'float32') return false;
  if (!isLayer(node)) return node.inputs.every((input) => input && !input.constant) && node.outputs.length === 1;
  const [x, weight, bias] = node.inputs;
  if (x?.constant || weight?.constant?.dtype !== 'float32' || (bias && bias.constant?.dims.length !== 1)) return false;
  if (node.op === 'Conv') return true;
  return node.float('alpha', 1) === 1 && node.float('beta', 1) === 1 && node.int('transA', 0) === 0;
}

/** The side of a node's largest map, in pixels; 0 where there is none. */
function sideOf({ inputs, outputs }: Node): number {
  const sides = [inputs[0], ...outputs].flatMap((value) => bindShape(value?.shape ?? [], 1).slice(2));
  return Math.max(0, ...sides);
}

/** The output of a node, or of the clipping activation that alone reads it. */
function clippedOutput(node: Node, consumers: ReadonlyMap<Value, readonly Node[]>, { outputs }: Graph): Value {
  const output = node.output();
  const [reader, ...others] = consumers.get(output) ?? [];
  const isClipped = reader && others.length === 0 && operatorOf(reader)?.cutsOff && !outputs.includes(output);
  return isClipped ? reader.output() : output;
}
