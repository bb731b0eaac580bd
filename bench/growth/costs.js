// What policies cost by the compiler's own reckoning.
import { inspect, readModel, UserError } from 'ort-tl';
import { markdownTable, significant } from '../../dist/bench/table.js';

/**
 * A table of what each policy costs by the compiler's own reckoning.
 * @param {string} model
 * @param {readonly string[]} policies
 */
export function costsOf(model, policies) {
  const rows = policies.flatMap((policy) => {
    try {
      const { parameters, policy: cost } = inspect(readModel(model), { policy, batch: 32 });
      if (!cost) return [];
      return [
        [
          policy,
          significant((100 * cost.trainableParameters) / parameters),
          significant(cost.boundaryBytes / 1e3),
          significant((cost.forwardMultiplyAdds + cost.backwardMultiplyAdds) / 1e6),
        ],
      ];
    } catch (thrown) {
      if (thrown instanceof UserError) return [];
      throw thrown;
    }
  });
  return markdownTable(
    ['policy', 'parameters trained, %', 'kept of a photo, kB', 'million multiply-adds a photo and step'],
    rows,
  );
}
