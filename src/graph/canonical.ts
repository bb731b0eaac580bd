import { UserError } from '../errors.js';
import { floatTensor, intTensor, type Tensor, toNumbers } from '../onnx/tensor.js';
import { type Attribute, describe, type Graph, Node, text, Value } from './graph.js';
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
      const current = node.op === 'Upsample' ? resizeOf(node) : node;
      upgrade(current, from);
      return current;
    });
  });
}

/** Upsample (operator set 9) became Resize, which then took the same inputs. */
function resizeOf({ domain, name, inputs, outputs, attributes }: Node): Node {
  return new Node('Resize', domain, name, inputs, outputs, attributes);
}

/** Operators that took their axes as an attribute, and the set in which these became an input. */
const axesInputSince = new Map([
  ['ReduceSum', 13],
  ['Squeeze', 13],
  ['Unsqueeze', 13],
  ...[
    'ReduceL1',
    'ReduceL2',
    'ReduceLogSum',
    'ReduceLogSumExp',
    'ReduceMax',
    'ReduceMean',
    'ReduceMin',
    'ReduceProd',
    'ReduceSumSquare',
  ].map((op) => [op, 18] as const),
]);

function upgrade(node: Node, from: number): void {
  const since = axesInputSince.get(node.op);
  if (since !== undefined && from < since) attributesToInputs(node, ['axes']);
  switch (node.op) {
    case 'Clip':
      if (from < 11) attributesToInputs(node, ['min', 'max']);
      return;
    case 'Pad':
      if (from < 11) attributesToInputs(node, ['pads', 'value']);
      return;
    case 'Slice':
      if (from < 10) attributesToInputs(node, ['starts', 'ends', 'axes']);
      return;
    case 'TopK':
      if (from < 10) attributesToInputs(node, ['k']);
      return;
    case 'Split':
      if (from < 13) attributesToInputs(node, ['split']);
      if (from < 18 && !node.inputs[1]) setAttribute(node, 'num_outputs', { kind: 'int', value: node.outputs.length });
      return;
    case 'Dropout':
      // Removed by simplify; only its first input matters. The ratio was an attribute before 12.
      node.inputs = node.inputs.slice(0, 1);
      node.attributes = new Map();
      return;
    case 'BatchNormalization':
      // The statistics that older sets wrote out beside the result are training's business.
      node.outputs = node.outputs.slice(0, 1);
      return;
    case 'Softmax':
    case 'LogSoftmax':
    case 'Hardmax':
      // Before 13 the default axis was 1; see also refuseFlattenedSoftmax.
      if (from < 13 && !node.attributes.has('axis')) setAttribute(node, 'axis', { kind: 'int', value: 1 });
      return;
    case 'Resize':
      if (from < 11) fromAsymmetricResize(node);
      // Before 13, scales were given also where sizes were, and then empty.
      node.inputs = node.inputs.map((input, index) => (index > 0 && input?.shape?.[0] === 0 ? undefined : input));
      return;
    default:
      return;
  }
}

/**
 * Before operator set 11, Resize took its scales as its second input, and counted pixels from the first one's edge.
 * @throws UserError `unsupported-operator` where scales that decide how to round are computed.
 */
function fromAsymmetricResize(node: Node): void {
  const scales = node.inputs[1];
  node.inputs = [node.inputs[0], undefined, scales];
  setAttribute(node, 'coordinate_transformation_mode', text('asymmetric'));
  if (node.string('mode', 'nearest') !== 'nearest') return;
  if (!scales?.constant) {
    throw new UserError(
      'unsupported-operator',
      `${describe(node)} computes its scales, which before operator set 11 decide how it rounds; export the model with a later one`,
    );
  }
  // ONNX Runtime's reading of "nearest" in those sets: an image that becomes smaller rounds up.
  const shrinks = toNumbers(scales.constant).some((scale) => scale < 1);
  setAttribute(node, 'nearest_mode', text(shrinks ? 'ceil' : 'floor'));
}

/**
 * Before operator set 13, Softmax and its kin counted its axis and all after it as one; only for the last axis is that today's meaning.
 * @throws UserError `unsupported-operator` where it is not; the graph's shapes must be known.
 */
export function refuseFlattenedSoftmax(graph: Graph, from: number): void {
  if (from >= 13) return;
  for (const node of graph.nodes) {
    if (node.op !== 'Softmax' && node.op !== 'LogSoftmax' && node.op !== 'Hardmax') continue;
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

function setAttribute(node: Node, name: string, attribute: Attribute): void {
  node.attributes = new Map([...node.attributes, [name, attribute]]);
}
