/** The index of the largest of `count` values from `start`, the first of equals; −1 where one of them is NaN. */
export function argMax(values: Float32Array, start: number, count: number): number {
  let best = 0;
  let largest = -Infinity;
  for (let index = 0; index < count; index++) {
    const value = values[start + index] ?? NaN;
    if (Number.isNaN(value)) return -1;
    if (value <= largest) continue;
    best = index;
    largest = value;
  }
  return best;
}
