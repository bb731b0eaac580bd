/** The `count` of `names` of which a part is nearest to `wanted` by edit distance; of equals the shortest. */
export function nearestNames(wanted: string, names: readonly string[], count: number): string[] {
  const plain = wanted.replace(/[*?]/g, '').toLowerCase();
  return names
    .map((name) => ({ name, distance: distanceToPart(plain, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || a.name.length - b.name.length)
    .slice(0, count)
    .map(({ name }) => name);
}

/** The fewest insertions, deletions and replacements that make some part of `text` from `wanted` (Sellers 1980). */
function distanceToPart(wanted: string, text: string): number {
  let row = new Array<number>(text.length + 1).fill(0);
  for (let i = 0; i < wanted.length; i++) {
    const next = [i + 1];
    for (let j = 1; j <= text.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (wanted[i] === text[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(...row);
}
