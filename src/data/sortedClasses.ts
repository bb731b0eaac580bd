import type { Unlabelled } from './photo.js';

/** Classes, and the photos of each, by code unit. */
export function sortedClasses<P extends Unlabelled>(byClass: ReadonlyMap<string, readonly P[]>): Map<string, P[]> {
  const byName = [...byClass].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(
    byName.map(([name, some]) => [name, [...some].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))]),
  );
}
