import { batch, computed, signal } from '@preact/signals';
import type { StudioPhoto } from '../api.js';
import { client } from './client.js';
import { keepFresh } from './refreshing.js';
import { chosenClass } from './routes.js';
import { revision } from './state.js';

/** The photos of the chosen class, and which of them are selected. */
export const photos = signal<readonly StudioPhoto[]>([]);
/** Of which class {@link photos} are; undefined until they are there. */
export const photosOf = signal<string | undefined>(undefined);
export const selected = signal<ReadonlySet<string>>(new Set());
export const selectedCount = computed(() => selected.value.size);

/** The name of a photo's file. */
export const nameOf = ({ path }: { readonly path: string }): string => path.slice(path.lastIndexOf('/') + 1);

/** While many photos come, their list is read anew no more often. */
const READ_EVERY_MS = 500;

function show(name: string | undefined, list: readonly StudioPhoto[]): void {
  batch(() => {
    const isSame = photosOf.peek() === name;
    photos.value = list;
    photosOf.value = name;
    if (selected.peek().size === 0) return;
    const there = new Set(isSame ? list.map(({ path }) => path) : []);
    selected.value = new Set([...selected.peek()].filter((path) => there.has(path)));
  });
}

/** Keeps {@link photos} as the server has them, until what it gives is called. */
export const watchPhotos = (): (() => void) =>
  keepFresh({
    key: () => chosenClass.value,
    changes: () => revision.value,
    everyMs: READ_EVERY_MS,
    reset: () => show(undefined, []),
    read: async (name, signal) => {
      const list = await client.photos(name, signal);
      if (!signal.aborted) show(name, list.photos);
    },
  });
