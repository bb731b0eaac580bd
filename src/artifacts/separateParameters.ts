import { type Graph, isUniform, type Node, Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';

/** A parameter that got a name of its own, and where the source model reads it. */
export interface Separated {
  readonly value: Value;
  readonly node: Node;
  readonly input: number;
}

/**
 * Gives every layer biases, scales, shifts and slopes of its own. The new exporter of PyTorch writes equal tensors once, so that
 * where a layer's scales are all one or its shifts all zero, as before training, they are another's too, from which they
 * must be able to move apart. Other numbers that layers share they share on purpose.
 */
export function separateParameters(graph: Graph): Separated[] {
  const uses = new Map<Value, number>();
  const names = new Set<string>();
  for (const value of graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])) {
    if (!value) continue;
    names.add(value.name);
    if (value.constant) uses.set(value, (uses.get(value) ?? 0) + 1);
  }
  return graph.nodes.flatMap((node) =>
    vectorsOf(node).flatMap((input): Separated[] => {
      const shared = node.inputs[input];
      if (!shared?.constant || uses.get(shared) === 1 || !isUniform(shared)) return [];
      const place = node.placeOf(input);
      let name = `${place.node.name}/parameter_${place.input}`;
      while (names.has(name)) name += '_';
      names.add(name);
      const value = new Value(name, shared.dtype, shared.shape);
      value.constant = shared.constant;
      node.inputs[input] = value;
      return [{ value, ...place }];
    }),
  );
}

/** Inputs that may hold such parameters; the number that a program adds or multiplies by is none. */
function vectorsOf(node: Node): readonly number[] {
  if (node.domain !== '') return [];
  if (node.op === 'PRelu') return [1];
  if (node.op === 'Add' || node.op === 'Mul') {
    const isJoinedToData = node.inputs.some((input) => input && !input.constant);
    return [0, 1].filter((index) => isJoinedToData && (node.inputs[index]?.constant?.data.length ?? 0) > 1);
  }
  return operatorOf(node)?.vectors ?? [];
}
