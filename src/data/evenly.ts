/** At most `most` of the elements, spread evenly, since neighbours among photos are often alike. */
export function evenly<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, index) => Math.floor((index * all.length) / most)).flatMap(
    (place) => all[place] ?? [],
  );
}
