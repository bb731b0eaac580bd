import { UserError } from '../errors.js';
import type { LayerChoice } from '../policy/layerChoice.js';
import { deepestWithin } from '../policy/nearest.js';
import { chooseLayers, type Policy, showPolicy } from '../policy/policy.js';
import type { Chosen } from './chosen.js';

/** Codes of errors that lie in one operator: a policy whose trained part is without it has no such error. */
const AVOIDABLE = new Set(['no-gradient-rule', 'no-gradient', 'unknown-shape']);

/** What `part` gives for what was chosen by a policy. @throws its error, with the nearest policy that avoids it at the end. */
export function withNearestPolicy<T>(
  policy: Policy,
  { classifier: { layers: table }, blocks, choice }: Pick<Chosen, 'classifier' | 'blocks' | 'choice'>,
  part: (choice: LayerChoice) => T,
): T {
  const attempt = (other: LayerChoice): T | UserError => {
    try {
      return part(other);
    } catch (thrown) {
      if (thrown instanceof UserError && AVOIDABLE.has(thrown.code)) return thrown;
      throw thrown;
    }
  };
  const result = attempt(choice);
  if (!(result instanceof UserError)) return result;
  const nearest = deepestWithin(
    policy,
    table,
    (other) => !(attempt(chooseLayers(other, table, blocks)) instanceof UserError),
  );
  const advice = nearest
    ? `, such as ${showPolicy(nearest)}`
    : '; but not even F1C0 does, so export the model without that operator';
  throw new UserError(result.code, `${result.message}${advice}`, { cause: result });
}
