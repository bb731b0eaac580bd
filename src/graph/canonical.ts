import { UserError } from '../errors.js';
import { floatTensor, intTensor, type Tensor } from '../onnx/tensor.js';
import { type Attribute, describe, type Graph, type Node, Value } from './graph.js';
import { operatorOf } from './operators.js';
import { readSourceNode } from './sourceNode.js';

/** The oldest operator set of a canonical graph: since 18 every reduction takes its axes as an input. */
const CANONICAL_OPSET = 18;

/**
 * Rewrites a graph of operator set 9 or later so that its nodes are valid, and mean the same, in operator set 18 or later.
 * @throws UserError `unsupported-operator` for the few operators that cannot be carried over.
 */
export function canonicalize(graph: Graph): void {
  const from = graph.opset;
  graph.opset = Math.max(CANONICAL_OPSET, from);
  graph.nodes = graph.nodes.map((node) => {
    if (node.domain !== '') return node;
    return readSourceNode(node, () => {
      // Upsample (operator set 9) became Resize, which then took the same inputs.
      const current = node.op === 'Upsample' ? node.with({ op: 'Resize' }) : node;
      upgrade(current, from);
      return current;
    });
  });
}

function upgrade(node: Node, from: number): void {
  const operator = operatorOf(node);
  const { until = 0, kinds = {} } = operator?.onceAttributes ?? {};
  if (from < until) attributesToInputs(node, Object.keys(kinds));
  operator?.upgrade?.(node, from);
}

/**
 * Before operator set 13, Softmax and its kin counted its axis and all after it as one; only for the last axis is that today's meaning.
 * @throws UserError `unsupported-operator` where it is not; the graph's shapes must be known.
 */
export function refuseFlattenedSoftmax(graph: Graph, from: number): void {
  if (from >= 13) return;
  for (const node of graph.nodes) {
    if (!operatorOf(node)?.onceFlattened) continue;
    const rank = node.input(0).shape?.length;
    const axis = node.int('axis', 1);
    if (rank !== undefined && axis !== -1 && axis !== rank - 1) {
      throw new UserError(
        'unsupported-operator',
        `${describe(node)} normalizes several axes at once, as it did before operator set 13; export the model with a later one`,
      );
    }
  }
}

/** Appends attributes as inputs, in this order; what is missing is omitted. */
function attributesToInputs(node: Node, names: readonly string[]): void {
  const inputs = names.map((name) => {
    const attribute = node.attributes.get(name);
    return attribute && constantOf(`${node.name || (node.outputs[0]?.name ?? '')}/${name}`, attribute);
  });
  while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
  node.inputs = [...node.inputs.slice(0, 1), ...inputs];
  node.attributes = new Map([...node.attributes].filter(([name]) => !names.includes(name)));
}

function constantOf(name: string, attribute: Attribute): Value {
  const tensor = tensorOf(attribute);
  const value = new Value(name, tensor.dtype, tensor.dims);
  value.constant = tensor;
  return value;
}

function tensorOf(attribute: Attribute): Tensor {
  switch (attribute.kind) {
    case 'int':
      return intTensor([1], [attribute.value]);
    case 'ints':
      return intTensor([attribute.value.length], attribute.value);
    case 'float':
      return floatTensor([], [attribute.value]);
    default:
      throw new Error(`an attribute of kind ${attribute.kind} cannot become an input`);
  }
}
