import type { Random } from '../../random.js';
import type { Augmentation } from './augmentation.js';
import type { Batch } from './batch.js';
import { cutmix } from './cutmix.js';
import { mixup } from './mixup.js';

/** Mixes the pictures of a batch by mixup or cutmix; where both are on, by either, drawn anew for each batch. */
export function mix(batch: Batch, config: Augmentation, random: Random): Batch {
  if (config.mixup > 0 && (config.cutmix === 0 || random.next() < 0.5)) return mixup(batch, config.mixup, random);
  return config.cutmix > 0 ? cutmix(batch, config.cutmix, random) : batch;
}
