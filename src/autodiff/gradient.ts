import { UserError } from '../errors.js';
import type { Builder } from '../graph/builder.js';
import { concreteShape, describe, type Node, type Value } from '../graph/graph.js';
import { ancestors, descendants } from '../graph/order.js';
import { ruleFor } from './registry.js';

/**
 * Appends to `g` the gradients of the scalar `loss` with respect to `trainable`, by reverse mode over `nodes`, which `g`
 * holds already. Only what a trainable value needs is built.
 * @returns the gradient of each trainable value, of its shape.
 * @throws UserError `no-gradient-rule` when an operator between a trainable value and the loss has no rule, `no-gradient` when
 * the loss does not depend on one otherwise than through integers; the message ends with "a policy that stops after it", and who knows the policies goes on from there.
 */
export function differentiate(
  g: Builder,
  nodes: readonly Node[],
  loss: Value,
  trainable: readonly Value[],
): Map<Value, Value> {
  const depending = descendants(nodes, trainable).values;
  const path = ancestors(nodes, [loss]).filter((node) =>
    node.outputs.some((output) => output && depending.has(output)),
  );
  const gradients = new Map<Value, Value>([[loss, g.scalar(1)]]);
  for (const node of path.toReversed()) {
    const dOutputs = node.outputs.map((output) => output && gradients.get(output));
    const dy = dOutputs.find((gradient) => gradient !== undefined);
    if (!dy) continue;
    const rule = ruleFor(node);
    if (!rule) throw noGradientRule(node);
    if (!rule.ofAllOutputs && dOutputs.some((gradient, index) => gradient && index > 0))
      throw new UserError(
        'no-gradient-rule',
        `${describe(node)} has a gradient for its first result only, and the loss depends on another; choose a policy that stops after it`,
      );
    const thunks = rule.gradients({
      node,
      input: (index) => node.input(index),
      output: (index) => node.output(index),
      dy,
      dOutputs,
      g,
    });
    node.inputs.forEach((input, index) => {
      if (!input || !depending.has(input) || !isFloating(input)) return;
      const thunk = thunks[index];
      if (!thunk)
        throw new UserError(
          'no-gradient-rule',
          `${describe(node)} has no gradient for its input "${input.name}", which depends on a trainable layer; choose a policy that stops after it`,
        );
      const gradient = thunk();
      if (concreteShape(gradient).join() !== concreteShape(input).join()) {
        throw new Error(
          `the gradient for input ${index} of ${describe(node)} has shape [${concreteShape(gradient).join()}], not [${concreteShape(input).join()}]`,
        );
      }
      const sum = gradients.get(input);
      gradients.set(input, sum ? g.add(sum, gradient) : gradient);
    });
  }
  return new Map(
    trainable.map((value) => {
      const gradient = gradients.get(value);
      if (!gradient)
        throw new UserError(
          'no-gradient',
          `no gradient flows back to "${value.name}", through integers or shapes alone; choose a policy that stops after it`,
        );
      return [value, gradient];
    }),
  );
}

export function noGradientRule(node: Node): UserError {
  return new UserError(
    'no-gradient-rule',
    `${describe(node)} lies between a trainable layer and the loss, and has no gradient rule; choose a policy that stops after it`,
  );
}

/** Integers and truth values (positions, conditions) stay the same under small changes: nothing flows through them. */
function isFloating({ dtype }: Value): boolean {
  return dtype === undefined || dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
}
