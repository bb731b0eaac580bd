/** What something costs, and what it gives. */
export interface Choice {
  readonly cost: number;
  readonly gain: number;
}

/** Those of `choices` for which no other costs no more and gives no less, cheapest first. */
export function paretoFront<C extends Choice>(choices: readonly C[]): C[] {
  const front: C[] = [];
  for (const each of choices.toSorted((a, b) => a.cost - b.cost || b.gain - a.gain))
    if (each.gain > (front.at(-1)?.gain ?? -Infinity)) front.push(each);
  return front;
}

/**
 * The knee of a front: of its points, both axes scaled to 0 … 1, the one farthest above the line from the first to the last. That is where
 * Kneedle finds it on a curve that needs no smoothing (Satopää, Albrecht, Irwin and Raghavan, "Finding a 'Kneedle' in a Haystack", 2011).
 * Not what `recommend` chooses by: that is told what a point of accuracy is worth.
 * Undefined for fewer than three points, or where none lies above the line.
 */
export function kneeOf<C extends Choice>(front: readonly C[]): C | undefined {
  const [first, last] = [front[0], front.at(-1)];
  if (!first || !last || front.length < 3) return undefined;
  const above = ({ cost, gain }: Choice) =>
    (gain - first.gain) / (last.gain - first.gain) - (cost - first.cost) / (last.cost - first.cost);
  const knee = front.reduce((best, each) => (above(each) > above(best) ? each : best));
  return above(knee) > 1e-9 ? knee : undefined;
}
