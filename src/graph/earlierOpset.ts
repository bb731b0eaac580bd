import { UserError } from '../errors.js';
import { toNumbers } from '../onnx/tensor.js';
import { type Attribute, describe, float, type Graph, int, ints, type Node, type Value } from './graph.js';
import { operatorOf } from './operators.js';

/**
 * The graph, canonical, written in operator set `to`, which may be an earlier one. Operators that the set does not have at all are
 * left as they are: loading the graph tells of them.
 * @throws UserError `unsupported-opset` for a node that means something that the set cannot say.
 */
export function inOpset(graph: Graph, to: number): Graph {
  return { ...graph, opset: to, nodes: graph.nodes.map((node) => (node.domain === '' ? earlier(node, to) : node)) };
}

function earlier(node: Node, to: number): Node {
  const attributes = new Map(node.attributes);
  const inputs = inputsBefore(node, to, attributes);
  restate(node, to, attributes);
  const { laterAttributes = {} } = operatorOf(node) ?? {};
  for (const [name, { since, usual }] of Object.entries(laterAttributes))
    if (to < since && node.int(name, usual) === usual) attributes.delete(name);
  return node.with({ inputs, attributes });
}

/** The inputs of `node` in operator set `to`; what was an attribute then moves to `attributes`. */
function inputsBefore(node: Node, to: number, attributes: Map<string, Attribute>): (Value | undefined)[] {
  const { onceAttributes } = operatorOf(node) ?? {};
  if (!onceAttributes || to >= onceAttributes.until) return [...node.inputs];
  const names = Object.entries(onceAttributes.kinds);
  if (node.op === 'Slice' && node.inputs[4]) throw refusal(node, to, 'it takes steps');
  if (node.op === 'Pad' && node.inputs[3]) throw refusal(node, to, 'it names axes');
  const lists = names.map((_, index) => constantInput(node, index + 1, to));
  // Since 18, no axes may stand for none in place of all.
  if (attributes.get('noop_with_empty_axes') && !lists[0]?.length) throw refusal(node, to, 'it reduces nothing');
  attributes.delete('noop_with_empty_axes');
  names.forEach(([name, kind], index) => {
    const numbers = lists[index];
    // No axes stand for all of them, and so does an attribute that is not there.
    if (numbers && (numbers.length > 0 || name !== 'axes')) attributes.set(name, attributeOf(kind, numbers));
  });
  return node.inputs.slice(0, 1);
}

/** The numbers of input `index`; undefined where it is left out. @throws UserError `unsupported-opset` where they are computed. */
function constantInput(node: Node, index: number, to: number): number[] | undefined {
  const value = node.inputs[index];
  if (value && !value.constant) throw refusal(node, to, `its input ${index} is computed`);
  return value?.constant && toNumbers(value.constant);
}

function attributeOf(kind: 'int' | 'ints' | 'float', numbers: readonly number[]): Attribute {
  const [first = NaN] = numbers;
  return kind === 'ints' ? ints(numbers) : kind === 'int' ? int(first) : float(first);
}

/** Says in `attributes` what operators say otherwise in operator set `to`. */
function restate(node: Node, to: number, attributes: Map<string, Attribute>): void {
  if (node.op === 'Pad' && to < 11 && !attributes.has('value')) attributes.set('value', float(0));
  if (node.op === 'Split' && to < 18) attributes.delete('num_outputs');
  if (node.op === 'Resize') {
    if (to < 13) throw refusal(node, to, 'what it takes was counted otherwise');
    if (to < 18 && ['antialias', 'axes', 'keep_aspect_ratio_policy'].some((name) => attributes.has(name)))
      throw refusal(node, to, 'it names axes, or smooths');
  }
  if (operatorOf(node)?.onceFlattened && to < 13) {
    const rank = node.input(0).shape?.length;
    const axis = node.int('axis', -1);
    if (rank === undefined || (axis !== -1 && axis !== rank - 1))
      throw refusal(node, to, 'it goes along another axis than the last');
    attributes.set('axis', int(rank - 1));
  }
}

function refusal(node: Node, to: number, reason: string): UserError {
  return new UserError(
    'unsupported-opset',
    `${describe(node)} cannot be written in operator set ${to}: ${reason}; choose a later one (--opset)`,
  );
}
