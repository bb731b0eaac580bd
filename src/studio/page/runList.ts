import { computed, signal } from '@preact/signals';
import type { StudioRun } from '../api.js';
import { runs } from './state.js';

/** By what runs can be sorted. */
export type RunKey = 'name' | 'at' | 'policy' | 'model' | 'epochs' | 'top1' | 'elapsedMs' | 'peakRssBytes' | 'energyJ';

export const sorting = signal<{ readonly key: RunKey; readonly isDown: boolean }>({ key: 'at', isDown: true });
/** Runs whose curves are drawn over each other. */
export const compared = signal<ReadonlySet<string>>(new Set());
/** The run whose details are shown. */
export const openRun = signal<string | undefined>(undefined);

function order(a: StudioRun, b: StudioRun, key: RunKey): number {
  const [left, right] = [a[key], b[key]];
  if (typeof left === 'string' || typeof right === 'string')
    return String(left).localeCompare(String(right), undefined, { numeric: true });
  return (left ?? -Infinity) - (right ?? -Infinity);
}

export const sortedRuns = computed(() => {
  const { key, isDown } = sorting.value;
  return (runs.value ?? []).toSorted((a, b) => (isDown ? -1 : 1) * order(a, b, key));
});

/** Sorts by this; again, the other way round. Figures begin with the largest. */
export function sortBy(key: RunKey): void {
  const { key: last, isDown } = sorting.value;
  const isText = key === 'name' || key === 'policy' || key === 'model';
  sorting.value = { key, isDown: last === key ? !isDown : !isText };
}

export function compare(name: string, isCompared: boolean): void {
  const next = new Set(compared.value);
  if (isCompared) next.add(name);
  else next.delete(name);
  compared.value = next;
}
