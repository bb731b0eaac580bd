/** Pictures of one size with their soft targets. */
export interface Batch {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  /** uint8 RGB [count, height, width, 3] */
  readonly pixels: Uint8Array;
  /** [count, classes]; each row sums to 1, or has 1 for each label. */
  readonly targets: Float32Array;
}

/** One-hot rows [labels.length, classes]. */
export function oneHot(labels: readonly number[], classes: number): Float32Array {
  const targets = new Float32Array(labels.length * classes);
  labels.forEach((label, row) => (targets[row * classes + label] = 1));
  return targets;
}

/** `share` of each of the `count` rows of `values` and the rest of the row before it, of the first the last row. */
export function mixRows(values: Uint8Array | Float32Array, count: number, share: number): Float32Array {
  const length = values.length / count;
  const mixed = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) {
    const before = values[at < length ? at + values.length - length : at - length] ?? 0;
    mixed[at] = share * (values[at] ?? 0) + (1 - share) * before;
  }
  return mixed;
}
