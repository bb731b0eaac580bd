import { UserError } from '../errors.js';
import { stretchesTo } from '../graph/broadcast.js';
import type { Builder } from '../graph/builder.js';
import { concreteShape, describe, type Node, Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';
import { ancestors, descendants } from '../graph/order.js';
import { ruleFor } from './registry.js';
import type { Gradients, Scaled } from './rule.js';

/**
 * Appends to `g` the gradients of the scalar `loss` with respect to `trainable`, by reverse mode over `nodes`, which `g`
 * holds already. Only what a trainable value needs is built.
 * @returns the gradient of each trainable value, of its shape.
 * @throws UserError `no-gradient-rule` when an operator between a trainable value and the loss has no rule, `no-gradient` when
 * the loss does not depend on one otherwise than through integers; the message ends with "a policy that stops after it", and who
 * knows the policies goes on from there.
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
    if (dOutputs.every((gradient) => gradient === undefined)) continue;
    const thunks = applyRule(g, node, dOutputs);
    node.inputs.forEach((input, index) => {
      if (!input || !depending.has(input) || !isFloating(input)) return;
      const thunk = thunks[index];
      if (!thunk)
        throw new UserError(
          'no-gradient-rule',
          `${describe(node)} has no gradient for its input "${input.name}", which depends on a trainable layer; choose a policy that stops after it`,
        );
      const gradient = ofInputShape(g, node, index, thunk());
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

/** @throws UserError `no-gradient-rule` where there is none, or none for the outputs that have a gradient. */
function applyRule(g: Builder, node: Node, dOutputs: readonly (Value | undefined)[]): Gradients {
  const rule = ruleFor(node);
  if (!rule) throw noGradientRule(node);
  const context = {
    node,
    input: (index: number) => node.input(index),
    output: (index?: number) => node.output(index),
    g,
  };
  if ('gradientsOfAll' in rule) return rule.gradientsOfAll({ ...context, dOutputs });
  const [dy, ...others] = dOutputs;
  if (!dy || others.some((gradient) => gradient !== undefined))
    throw new UserError(
      'no-gradient-rule',
      `${describe(node)} has a gradient for its first result only, and the loss depends on another; choose a policy that stops after it`,
    );
  return rule.gradients({ ...context, dy });
}

/**
 * What a rule gives for input `index`, of that input's shape: summed over the axes that the operator, broadcasting, added or
 * stretched. @throws Error where the shape is another, which is the rule's fault.
 */
function ofInputShape(g: Builder, node: Node, index: number, given: Value | Scaled): Value {
  const { gradient, factor } = given instanceof Value ? { gradient: given, factor: 1 } : given;
  const [from, to] = [concreteShape(gradient), concreteShape(node.input(index))];
  const isStretched = operatorOf(node)?.broadcasts === true && stretchesTo(to, from);
  if (from.join() !== to.join() && !isStretched)
    throw new Error(
      `the gradient for input ${index} of ${describe(node)} has shape [${from.join()}], not [${to.join()}]`,
    );
  const sum = g.unbroadcast(gradient, to);
  if (factor === 1) return sum;
  return factor === -1 ? g.neg(sum) : g.mul(sum, g.scalar(factor));
}

/** Integers and truth values (positions, conditions) stay the same under small changes: nothing flows through them. */
function isFloating({ dtype }: Value): boolean {
  return dtype === undefined || dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
}
