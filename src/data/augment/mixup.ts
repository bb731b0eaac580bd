import type { Random } from '../../random.js';
import { type Batch, mixRows } from './batch.js';
import { beta } from './beta.js';

/**
 * Mixes each picture with the one before it in the batch, in a share drawn from Beta(alpha, alpha) that its target follows
 * (Zhang et al., 2018; as in torchvision one share for the whole batch).
 */
export function mixup(batch: Batch, alpha: number, random: Random): Batch {
  const share = beta(alpha, random);
  const pixels = Uint8Array.from(mixRows(batch.pixels, batch.count, share), Math.round);
  return { ...batch, pixels, targets: mixRows(batch.targets, batch.count, share) };
}
