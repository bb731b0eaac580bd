import { UserError } from '../errors.js';
import { toNumbers } from '../onnx/tensor.js';
import { describe, float, type Graph, int, ints, Node } from './graph.js';

/** Operators whose axes are an input since some operator set, and were an attribute before. */
const AXES_INPUT_SINCE: Readonly<Record<string, number>> = {
  ReduceL1: 18,
  ReduceL2: 18,
  ReduceLogSum: 18,
  ReduceLogSumExp: 18,
  ReduceMax: 18,
  ReduceMean: 18,
  ReduceMin: 18,
  ReduceProd: 18,
  ReduceSum: 13,
  ReduceSumSquare: 18,
  Squeeze: 13,
  Unsqueeze: 13,
};
/** Other inputs that were attributes, in their order, of one type each. */
const INPUTS_SINCE: Readonly<Record<string, { since: number; names: readonly string[]; integers: boolean }>> = {
  Clip: { since: 11, names: ['min', 'max'], integers: false },
  Slice: { since: 10, names: ['starts', 'ends', 'axes'], integers: true },
  Split: { since: 13, names: ['split'], integers: true },
};
/** Attributes that came later, and the value at which they say what went without saying before. */
const ATTRIBUTES_SINCE: Readonly<Record<string, { since: number; usual: number }>> = {
  'BatchNormalization training_mode': { since: 14, usual: 0 },
  'Cast saturate': { since: 19, usual: 1 },
  'Reshape allowzero': { since: 14, usual: 0 },
};

/**
 * The graph, canonical, written in operator set `to`, which may be an earlier one. Operators that the set does not have at all are
 * left as they are: who loads the graph tells of them.
 * @throws UserError `unsupported-opset` for a node that means something that the set cannot say.
 */
export function inOpset(graph: Graph, to: number): Graph {
  return { ...graph, opset: to, nodes: graph.nodes.map((node) => (node.domain === '' ? earlier(node, to) : node)) };
}

function earlier(node: Node, to: number): Node {
  const refuse = (reason: string) =>
    new UserError(
      'unsupported-opset',
      `${describe(node)} cannot be written in operator set ${to}: ${reason}; choose a later one (--opset)`,
    );
  let inputs = [...node.inputs];
  const attributes = new Map(node.attributes);
  const numbersOf = (index: number) => {
    const value = inputs[index];
    if (value && !value.constant) throw refuse(`its input ${index} is computed`);
    return value?.constant && toNumbers(value.constant);
  };
  if (to < (AXES_INPUT_SINCE[node.op] ?? 0)) {
    const axes = numbersOf(1);
    // Since 18, no axes may stand for none in place of all.
    if (attributes.get('noop_with_empty_axes') && !axes?.length) throw refuse('it reduces nothing');
    attributes.delete('noop_with_empty_axes');
    if (axes?.length) attributes.set('axes', ints(axes));
    inputs = inputs.slice(0, 1);
  }
  const moved = INPUTS_SINCE[node.op];
  if (moved && to < moved.since) {
    if (inputs[4]) throw refuse('it takes steps');
    moved.names.forEach((name, index) => {
      const numbers = numbersOf(index + 1);
      if (numbers) attributes.set(name, moved.integers ? ints(numbers) : float(numbers[0] ?? NaN));
    });
    inputs = inputs.slice(0, 1);
  }
  switch (node.op) {
    case 'Pad':
      if (to >= 11) break;
      if (numbersOf(3)) throw refuse('it names axes');
      attributes.set('pads', ints(numbersOf(1) ?? []));
      attributes.set('value', float(numbersOf(2)?.[0] ?? 0));
      inputs = inputs.slice(0, 1);
      break;
    case 'Split':
      if (to < 18) attributes.delete('num_outputs');
      break;
    case 'Resize':
      if (to < 13) throw refuse('what it takes was counted otherwise');
      if (to < 18 && ['antialias', 'axes', 'keep_aspect_ratio_policy'].some((name) => attributes.has(name)))
        throw refuse('it names axes, or smooths');
      break;
    case 'Softmax':
    case 'LogSoftmax':
    case 'Hardmax': {
      if (to >= 13) break;
      const rank = node.input(0).shape?.length;
      const axis = node.int('axis', -1);
      if (rank === undefined || (axis !== -1 && axis !== rank - 1))
        throw refuse('it goes along another axis than the last');
      attributes.set('axis', int(rank - 1));
      break;
    }
    default:
  }
  for (const name of attributes.keys()) {
    const known = ATTRIBUTES_SINCE[`${node.op} ${name}`];
    if (known && to < known.since && node.int(name, known.usual) === known.usual) attributes.delete(name);
  }
  return new Node(node.op, node.domain, node.name, inputs, node.outputs, attributes);
}
