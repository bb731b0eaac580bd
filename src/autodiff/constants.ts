import { UserError } from '../errors.js';
import { describe, type Node } from '../graph/graph.js';
import { numbersOfConstant } from '../graph/integers.js';

/** The numbers of input `index`, undefined where it is left out. @throws UserError `no-gradient-rule` where they are computed. */
export function constantNumbers(node: Node, index: number, what: string): number[] | undefined {
  const value = node.inputs[index];
  if (!value) return undefined;
  if (!value.constant) {
    throw new UserError(
      'no-gradient-rule',
      `${describe(node)} computes its ${what} ("${value.name}"), and so has no gradient; choose a policy that stops after it`,
    );
  }
  return numbersOfConstant(value.constant);
}
