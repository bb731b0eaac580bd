/** What one run of the training graph takes: a batch, or a part of one. */
export interface Part {
  /** The index of the step in its plan. */
  readonly step: number;
  /** The place of its first image in the batch. */
  readonly first: number;
  readonly slots: Int32Array;
  /** Whether it is the step's last. */
  readonly isLast: boolean;
}

/** The runs of `steps` steps; those that would take nothing but what fills up the batch are left out. */
export function partsOf(slots: Int32Array, steps: number, batch: number, microBatch: number): Part[] {
  const parts: Part[] = [];
  for (let step = 0; step < steps; step++) {
    const own: Omit<Part, 'isLast'>[] = [];
    for (let first = 0; first < batch; first += microBatch) {
      const part = new Int32Array(microBatch).fill(-1);
      const from = step * batch + first;
      part.set(slots.subarray(from, Math.min(from + microBatch, (step + 1) * batch)));
      if (first === 0 || part.some((slot) => slot >= 0)) own.push({ step, first, slots: part });
    }
    own.forEach((part, index) => parts.push({ ...part, isLast: index === own.length - 1 }));
  }
  return parts;
}
