import type { RefObject } from 'preact';
import { photos, selected } from '../photoStore.js';
import { binSelected, moveSelected, selectAll, selectNone } from './selectionBar.js';

/** What keys need to know of a grid. Places are those among {@link photos}. */
export interface GridKeys {
  readonly name: string;
  readonly place: () => number;
  readonly columns: () => number;
  readonly rowsSeen: () => number;
  /** Where a range begins. */
  readonly anchor: RefObject<number>;
  readonly goTo: (place: number) => void;
  readonly open: (place: number) => void;
}

export function toggle(place: number): void {
  const path = photos.value[place]?.path;
  if (path === undefined) return;
  const next = new Set(selected.value);
  if (!next.delete(path)) next.add(path);
  selected.value = next;
}

/** Selects a range beside what is selected. */
export function selectUntil(from: number, to: number): void {
  const range = photos.value.slice(Math.min(from, to), Math.max(from, to) + 1);
  selected.value = new Set([...selected.value, ...range.map(({ path }) => path)]);
}

/** Where a key goes; undefined where it goes nowhere. */
function destination(event: KeyboardEvent, { place, columns, rowsSeen }: GridKeys): number | undefined {
  const [at, across, last] = [place(), columns(), photos.value.length - 1];
  const isFar = event.ctrlKey || event.metaKey;
  switch (event.key) {
    case 'ArrowRight':
      return at + 1;
    case 'ArrowLeft':
      return at - 1;
    case 'ArrowDown':
      return at + across <= last ? at + across : at;
    case 'ArrowUp':
      return at - across >= 0 ? at - across : at;
    case 'PageDown':
      return at + across * rowsSeen();
    case 'PageUp':
      return at - across * rowsSeen();
    case 'Home':
      return isFar ? 0 : at - (at % across);
    case 'End':
      return isFar ? last : at - (at % across) + across - 1;
    default:
      return undefined;
  }
}

/** Arrows go, shift selects on the way, space selects, Enter opens, Delete bins, M moves, Ctrl+A selects all, Escape none. */
export function handleKey(event: KeyboardEvent, keys: GridKeys): void {
  const place = keys.place();
  const to = destination(event, keys);
  if (to !== undefined) {
    keys.goTo(to);
    if (event.shiftKey) selectUntil(keys.anchor.current, keys.place());
    else keys.anchor.current = keys.place();
  } else if (event.key === ' ') {
    if (event.shiftKey) selectUntil(keys.anchor.current, place);
    else {
      keys.anchor.current = place;
      toggle(place);
    }
  } else if (event.key === 'Enter') keys.open(place);
  else if (event.key === 'Escape' && selected.value.size > 0) selectNone();
  else if (event.key.toLowerCase() === 'a' && (event.ctrlKey || event.metaKey)) selectAll();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === 'Delete' || event.key === 'Backspace') {
    if (selected.value.size === 0) toggle(place);
    void binSelected();
  } else if (event.key.toLowerCase() === 'm') {
    if (selected.value.size === 0) toggle(place);
    void moveSelected(keys.name);
  } else return;
  event.preventDefault();
}
