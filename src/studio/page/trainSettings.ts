import { computed, signal } from '@preact/signals';
import type { Flags, JobRequest } from '../api.js';

/** What there is to choose from, from the least that trains to all. */
export const POLICIES = ['F1C0', 'F1C1', 'F1C2', 'F1C3', 'blocks:2', 'full'] as const;

/** What the form of a training says; it stays while one looks elsewhere. Empty texts leave a setting as it is. */
export const policy = signal<string>('F1C1');
export const epochs = signal(10);
export const learningRate = signal('');
export const memory = signal('');
export const flips = signal(false);
export const crops = signal(false);

/** As docs/settings.md calls them usual, and mild. */
const [FLIP, CROP] = [0.5, 0.35];

const flags = computed((): Flags => {
  const rate = Number(learningRate.value);
  return {
    ...(rate > 0 && { lr: rate }),
    ...(memory.value.trim() !== '' && { memory: memory.value.trim() }),
    ...(flips.value && { flip: FLIP }),
    ...(crops.value && { 'random-crop': CROP }),
  };
});

/** The training that the form tells of, or the same by another policy. */
export function training(of: string = policy.value): JobRequest {
  const some = flags.value;
  return {
    kind: 'train',
    policy: of,
    epochs: epochs.value,
    ...(Object.keys(some).length > 0 && { flags: some }),
  };
}
