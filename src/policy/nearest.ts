import type { LayerTable } from './layers.js';
import type { Policy } from './policy.js';

/**
 * The deepest `F{x}C{y}` that trains no more than `policy` and that `fits`, or undefined where none does. What fits must fit
 * with fewer layers too: the search halves.
 */
export function deepestWithin(
  policy: Policy,
  { fcs, convs }: LayerTable,
  fits: (policy: Policy) => boolean,
): Policy | undefined {
  const last = (fcCount: number, convCount: number): Policy => ({ kind: 'last', fcs: fcCount, convs: convCount });
  const deepest = policy.kind === 'last' ? policy : { fcs: 'all' as const, convs: convs.length };
  let fcCount = deepest.fcs === 'all' ? fcs.length : deepest.fcs;
  while (fcCount > 0 && !fits(last(fcCount, 0))) fcCount--;
  if (fcCount === 0) return undefined;
  let [good, bad] = [0, deepest.convs + 1];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (fits(last(fcCount, middle))) good = middle;
    else bad = middle;
  }
  return last(fcCount, good);
}
