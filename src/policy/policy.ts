import { UserError } from '../errors.js';
import type { Layer, LayerTable } from './layers.js';

/** Which layers train: the last `fcs` FC layers and the last `convs` conv layers, or all of them. */
export type Policy =
  { readonly kind: 'last'; readonly fcs: number | 'all'; readonly convs: number } | { readonly kind: 'full' };

/**
 * Reads a policy: `F1C2` (the last FC layer and the last two convolutions), `FxC1` (all FC layers and one), `full`.
 * @throws UserError `bad-policy`.
 */
export function parsePolicy(source: string): Policy {
  if (source.toLowerCase() === 'full') return { kind: 'full' };
  const match = /^f(\d+|x)c(\d+)$/i.exec(source);
  const fcs = match?.[1]?.toLowerCase() === 'x' ? 'all' : Number(match?.[1] ?? 0);
  if (!match || fcs === 0) {
    throw new UserError(
      'bad-policy',
      `expected a policy such as F1C0, F1C1, F2C3, FxC1 or full, got "${source}" (--policy)`,
    );
  }
  return { kind: 'last', fcs, convs: Number(match[2]) };
}

export function showPolicy(policy: Policy): string {
  return policy.kind === 'full' ? 'full' : `F${policy.fcs === 'all' ? 'x' : policy.fcs}C${policy.convs}`;
}

/**
 * The layers that `policy` trains, from input to head.
 * @throws UserError `bad-policy` when it asks for more layers than the model has.
 */
export function chooseLayers(policy: Policy, { convs, fcs, all }: LayerTable): Layer[] {
  if (policy.kind === 'full') return [...all];
  const fcCount = policy.fcs === 'all' ? fcs.length : policy.fcs;
  if (fcCount > fcs.length || policy.convs > convs.length) {
    const nearest = showPolicy({
      kind: 'last',
      fcs: Math.min(fcCount, fcs.length),
      convs: Math.min(policy.convs, convs.length),
    });
    throw new UserError(
      'bad-policy',
      `policy ${showPolicy(policy)} asks for ${fcCount} FC and ${policy.convs} conv layers, but the model has ${fcs.length} and ${convs.length}; choose ${nearest} or full (--policy)`,
    );
  }
  const chosen = new Set([...convs.slice(convs.length - policy.convs), ...fcs.slice(fcs.length - fcCount)]);
  return all.filter((layer) => chosen.has(layer));
}
