/** What one run of the training graph takes: a batch, or a part of one. */
export interface Part {
  /** The index of its step in the plan. */
  readonly step: number;
  /** The place of its first image in the batch. */
  readonly first: number;
  readonly slots: Int32Array;
  /** Whether it is the first that its session takes of its step. */
  readonly isFirst: boolean;
  /** Whether the step ends with it and those beside it. */
  readonly isLast: boolean;
}

export interface Parting {
  readonly batch: number;
  /** Images of a part. */
  readonly microBatch: number;
  /** Parts of a round. */
  readonly atOnce: number;
  /** Whether parts of a round are taken one after the other, so that a round may take several steps; else side by side. */
  readonly isInTurn: boolean;
}

/** The rounds of parts of `steps` steps; parts that would take nothing but what fills up the batch are left out. */
export function roundsOf(slots: Int32Array, steps: number, parting: Parting): Part[][] {
  const ofSteps = Array.from({ length: steps }, (_, step) => partsOf(slots, step, parting));
  const together = parting.isInTurn ? wholeSteps(ofSteps, parting.atOnce) : ofSteps;
  return together.flatMap((parts) => chunksOf(parts, parting.atOnce));
}

/** Steps one after the other, as many together as have no more parts than `most`. */
function wholeSteps(ofSteps: readonly (readonly Part[])[], most: number): Part[][] {
  const together: Part[][] = [];
  for (const parts of ofSteps) {
    const last = together.at(-1);
    if (last && last.length + parts.length <= most) last.push(...parts);
    else together.push([...parts]);
  }
  return together;
}

function partsOf(slots: Int32Array, step: number, { batch, microBatch, atOnce, isInTurn }: Parting): Part[] {
  const parts: Pick<Part, 'first' | 'slots'>[] = [];
  for (let first = 0; first < batch; first += microBatch) {
    const own = new Int32Array(microBatch).fill(-1);
    const from = step * batch + first;
    own.set(slots.subarray(from, Math.min(from + microBatch, (step + 1) * batch)));
    if (first === 0 || own.some((slot) => slot >= 0)) parts.push({ first, slots: own });
  }
  const beside = isInTurn ? 1 : atOnce;
  const rounds = Math.ceil(parts.length / beside);
  return parts.map((part, at) => {
    const round = Math.floor(at / beside);
    return { step, ...part, isFirst: round === 0, isLast: round === rounds - 1 };
  });
}

function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
}
