import { UserError } from '../errors.js';
import type { Block } from '../policy/blocks.js';
import type { LayerTable } from '../policy/layers.js';
import { deepestWithin } from '../policy/nearest.js';
import { type LayerChoice, chooseLayers, type Policy, showPolicy } from '../policy/policy.js';

/** Codes of errors that lie in one operator: a policy whose trained part is without it has no such error. */
const AVOIDABLE = new Set(['no-gradient-rule', 'no-gradient', 'unknown-shape']);

/** What `part` gives for a policy's layers. @throws its error, with the nearest policy that avoids it at the end. */
export function withNearestPolicy<T>(
  policy: Policy,
  table: LayerTable,
  blocks: readonly Block[],
  part: (choice: LayerChoice) => T,
): T {
  const attempt = (other: Policy): T | UserError => {
    try {
      return part(chooseLayers(other, table, blocks));
    } catch (thrown) {
      if (thrown instanceof UserError && AVOIDABLE.has(thrown.code)) return thrown;
      throw thrown;
    }
  };
  const result = attempt(policy);
  if (!(result instanceof UserError)) return result;
  const nearest = deepestWithin(policy, table, (other) => !(attempt(other) instanceof UserError));
  const advice = nearest
    ? `, such as ${showPolicy(nearest)}`
    : '; but not even F1C0 does, so export the model without that operator';
  throw new UserError(result.code, `${result.message}${advice}`, { cause: result });
}
