/** What one run of the training graph takes: a batch, or a part of one. */
export interface Part {
  /** The place of its first image in the batch. */
  readonly first: number;
  readonly slots: Int32Array;
}

/** Parts of one step that run side by side. */
export interface Round {
  /** The index of the step in its plan. */
  readonly step: number;
  readonly parts: readonly Part[];
  readonly isFirst: boolean;
  /** Whether it is the step's last. */
  readonly isLast: boolean;
}

export interface Parting {
  readonly batch: number;
  /** Images of a part. */
  readonly microBatch: number;
  /** Parts of a round. */
  readonly sessions: number;
}

/** The rounds of `steps` steps; parts that would take nothing but what fills up the batch are left out. */
export function roundsOf(slots: Int32Array, steps: number, { batch, microBatch, sessions }: Parting): Round[] {
  const rounds: Round[] = [];
  for (let step = 0; step < steps; step++) {
    const parts: Part[] = [];
    for (let first = 0; first < batch; first += microBatch) {
      const own = new Int32Array(microBatch).fill(-1);
      const from = step * batch + first;
      own.set(slots.subarray(from, Math.min(from + microBatch, (step + 1) * batch)));
      if (first === 0 || own.some((slot) => slot >= 0)) parts.push({ first, slots: own });
    }
    for (let at = 0; at < parts.length; at += sessions)
      rounds.push({
        step,
        parts: parts.slice(at, at + sessions),
        isFirst: at === 0,
        isLast: at + sessions >= parts.length,
      });
  }
  return rounds;
}
