import { batch, computed, signal } from '@preact/signals';
import type { Prediction, Predictions } from '../api.js';
import { client, wordsOf } from './client.js';
import { keepFresh } from './refreshing.js';
import { route } from './routes.js';
import { finishedRuns, live, revision } from './state.js';
import { tallyOf } from './tallies.js';

/** What the address calls the live head. */
export const LIVE = 'live';

const lastLook = signal<string | undefined>(undefined);
/** What is looked at: `live`, or the name of a run; undefined while there is neither. */
export const lookedAt = computed(() => {
  const there = [...(live.value?.result ? [LIVE] : []), ...finishedRuns.value.map(({ name }) => name)];
  const wanted = route.value.view === 'look' ? route.value.of : undefined;
  return [wanted, lastLook.value].find((name) => name !== undefined && there.includes(name)) ?? there[0];
});

export const predictions = signal<Predictions | undefined>(undefined);
export const failure = signal<string | undefined>(undefined);
/** Photos that were moved or deleted here, by path and stamp, until the next predictions leave them out. */
const gone = signal<ReadonlySet<string>>(new Set());
const keyOf = ({ path, stamp }: Prediction) => `${stamp}\n${path}`;

/** Predictions of photos that are still where they were. */
export const present = computed((): readonly Prediction[] => {
  const all = predictions.value?.photos ?? [];
  return gone.value.size === 0 ? all : all.filter((photo) => !gone.value.has(keyOf(photo)));
});
export const tally = computed(() =>
  predictions.value ? tallyOf({ classes: predictions.value.classes, photos: present.value }) : undefined,
);
/** From which probability on a photo is one of the classes at all. */
export const threshold = signal(0);
/** A photo to try that was dropped on the page. */
export const triedFile = signal<File | undefined>(undefined);

export function leaveOut(photo: Prediction): void {
  gone.value = new Set([...gone.value, keyOf(photo)]);
}

const READ_EVERY_MS = 1000;

/** Keeps {@link predictions} as the server has them, until what it gives is called. */
export const watchPredictions = (): (() => void) =>
  keepFresh({
    key: () => lookedAt.value,
    changes: () => [revision.value, lookedAt.value === LIVE && live.value?.result?.revision],
    everyMs: READ_EVERY_MS,
    reset: () =>
      batch(() => {
        [predictions.value, failure.value, gone.value] = [undefined, undefined, new Set()];
        lastLook.value = lookedAt.peek();
      }),
    read: async (of, signal) => {
      const left = gone.peek();
      const now = await client.predictions(of, signal);
      if (signal.aborted) return;
      batch(() => {
        [predictions.value, failure.value] = [now, undefined];
        // What was moved while these were on their way is not in them yet.
        gone.value = new Set([...gone.peek()].filter((key) => !left.has(key)));
      });
    },
    failed: (error) => {
      failure.value = wordsOf(error);
    },
  });
