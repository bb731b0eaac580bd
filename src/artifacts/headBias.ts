import { elementCount, floatTensor, toNumbers } from '../onnx/tensor.js';
import type { Classifier } from './prepare.js';
import type { WarmStart } from './warmStart.js';

/** A share is taken for no smaller than this, and no larger than what is left of one. */
const LEAST_SHARE = 1e-3;

/**
 * Begins the new biases of a head of labels at the log odds of the share of images that have each, so that the first steps need not learn
 * how rare labels are. Rows that are kept of what was learned before stay.
 */
export function beginAtLogOdds(
  { layers }: Classifier,
  shares: readonly number[] | undefined,
  { rows }: Pick<WarmStart, 'rows'>,
): void {
  const bias = layers.fcs.at(-1)?.parameters[1];
  // A head without a bias begins where it does.
  if (!shares || !bias?.constant || elementCount(bias.constant.dims) !== shares.length) return;
  const values = Float32Array.from(toNumbers(bias.constant));
  for (const [label, share] of shares.entries()) {
    const p = Math.min(1 - LEAST_SHARE, Math.max(LEAST_SHARE, share));
    if (!rows.has(label)) values[label] = Math.log(p / (1 - p));
  }
  bias.constant = floatTensor([values.length], values);
}
