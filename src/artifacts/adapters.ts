import { UserError } from '../errors.js';
import { consumersOf, describe, type Graph, Node, Value } from '../graph/graph.js';
import { floatTensor } from '../onnx/tensor.js';
import type { Layer } from '../policy/layer.js';
import type { LayerChoice } from '../policy/layerChoice.js';
import { showLora } from '../policy/loraPolicy.js';
import { type Matrix, weightOf } from '../policy/matrices.js';
import { Random } from '../random.js';
import type { Manifest } from './manifest.js';

/** Two small matrices beside a large one: x·W becomes x·W + scale·(x·A)·B. */
export interface Adapter {
  readonly weight: Value;
  readonly a: Value;
  readonly b: Value;
  /** What the manifest says of them. */
  readonly entry: Manifest['adapters'][number];
}

/** Adapters by the weights that they stand beside. */
export type Adapters = ReadonlyMap<Value, Adapter>;

/**
 * Puts an adapter beside each matrix of a choice, where it asks for them: A uniform in ±1/√(inputs) from `seed`, as PEFT has it
 * (Kaiming's with a = √5), B zero, so that the graph gives what it gave. Nodes that share a matrix share its adapter.
 * @throws UserError `bad-policy` where a matrix that is to change has other readers, which would change too.
 */
export function insertAdapters(graph: Graph, { lora }: LayerChoice, seed: number): Adapters {
  const adapters = new Map<Value, Adapter>();
  if (!lora) return adapters;
  const { policy, matrices } = lora;
  const other = otherReader(graph, matrices);
  if (other)
    throw new UserError(
      'bad-policy',
      `policy ${showLora(policy)} trains beside "${other.weight.name}", which ${describe(other.node)} reads too, in another way; choose a policy such as F1C1, blocks:1 or full (‹policy›)`,
    );
  const random = new Random(seed);
  const taken = new Set(
    graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs].map((value) => value?.name ?? '')),
  );
  for (const matrix of matrices) {
    const { weight, inputs, layer } = matrix;
    let adapter = adapters.get(weight);
    if (!adapter) {
      adapter = adapterOf(matrix, policy.rank, policy.alpha / policy.rank, (name) => unique(name, taken));
      const [stream, bound] = [random.fork(`lora ${weight.name}`), 1 / Math.sqrt(inputs)];
      const drawn = Float32Array.from({ length: inputs * policy.rank }, () => stream.between(-bound, bound));
      adapter.a.constant = floatTensor(adapter.a.constant?.dims ?? [], drawn);
      adapters.set(weight, adapter);
    }
    insert(graph, layer.node, adapter);
  }
  return adapters;
}

/** A node that reads one of the matrices, and is none of those that get adapters, or reads it transposed where another does not. */
function otherReader(graph: Graph, matrices: readonly Matrix[]): { node: Node; weight: Value } | undefined {
  const turned = new Map(matrices.map(({ layer, isTransposed }) => [layer.node, isTransposed]));
  const readers = consumersOf(graph.nodes);
  const readersOf = (value: Value): Node[] =>
    (readers.get(value) ?? []).flatMap((node) =>
      node.op === 'Transpose' || node.op === 'Identity' ? readersOf(node.output()) : [node],
    );
  for (const { weight, isTransposed } of matrices) {
    const node = readersOf(weight).find(
      (each) => turned.get(each) !== isTransposed || weightOf(each)?.weight !== weight,
    );
    if (node) return { node, weight };
  }
  return undefined;
}

function unique(name: string, taken: Set<string>): string {
  let free = name;
  while (taken.has(free)) free += '_';
  taken.add(free);
  return free;
}

function adapterOf(
  { layer, weight, inputs, outputs, isTransposed }: Matrix,
  rank: number,
  scale: number,
  nameFor: (name: string) => string,
): Adapter {
  const isConv = layer.node.op === 'Conv';
  const ones = weight.constant?.dims.slice(2) ?? [];
  const zeros = (suffix: string, rows: number, columns: number): Value => {
    const dims = isConv ? [columns, rows, ...ones] : [rows, columns];
    const value = new Value(nameFor(`${weight.name}/${suffix}`), 'float32', dims);
    value.constant = floatTensor(dims, new Float32Array(rows * columns));
    return value;
  };
  const [a, b] = [zeros('lora_A', inputs, rank), zeros('lora_B', rank, outputs)];
  return { weight, a, b, entry: { weight: weight.name, a: a.name, b: b.name, scale, isTransposed } };
}

/** Has whoever reads what `node` gives read its sum with what the adapter gives. */
function insert(graph: Graph, node: Node, { a, b, entry }: Adapter): void {
  const sum = node.output();
  const x = node.input(0);
  const prefix = `${sum.name}/lora`;
  const nodes: Node[] = [];
  const append = (op: string, inputs: Value[], output = new Value(`${prefix}_${op}_${nodes.length}`, 'float32')) => {
    nodes.push(new Node({ op, name: `${prefix}/${op}_${nodes.length}`, inputs, outputs: [output] }));
    return output;
  };
  const product = node.op === 'Conv' ? 'Conv' : 'MatMul';
  const factor = new Value(`${prefix}/scale`, 'float32', []);
  factor.constant = floatTensor([], [entry.scale * (node.op === 'Gemm' ? node.float('alpha', 1) : 1)]);
  const low = append('Mul', [append(product, [x, a]), factor]);
  const added = append(product, [low, b]);
  const frozen = new Value(`${sum.name}/without_adapter`, sum.dtype, sum.shape);
  node.outputs = [frozen, ...node.outputs.slice(1)];
  frozen.producer = node;
  append('Add', [frozen, added], sum);
  graph.nodes.splice(graph.nodes.indexOf(node) + 1, 0, ...nodes);
}

/** The layer as it trains: with the adapter's matrices in place of its own. */
export function withAdapter(layer: Layer, adapters: Adapters): Layer {
  const adapter = layer.parameters.length === 1 && layer.parameters[0] ? adapters.get(layer.parameters[0]) : undefined;
  if (!adapter) return layer;
  return {
    ...layer,
    output: layer.node.output(),
    parameters: [adapter.a, adapter.b],
    shift: undefined,
    norm: undefined,
  };
}
