import { batch, computed, signal, type ReadonlySignal } from '@preact/signals';
import type { Job, Live, Project, StudioRun, StudioClass, StudioEvent } from '../api.js';
import { EVENTS } from './client.js';

/** What the server last told. Nothing else writes here: what a request did is seen when its event comes. */
const project = signal<Project | undefined>(undefined);
export const live = signal<Live | undefined>(undefined);
export const jobs = signal<readonly Job[]>([]);
export const runs = signal<readonly StudioRun[] | undefined>(undefined);
/** When {@link jobs} came, in ms since 1970, so that clocks can go on between events. */
export const jobsAt = signal(0);
export const connection = signal<'connecting' | 'open' | 'lost'>('connecting');

/** A value that stays the same object while it says the same, so that who shows it has nothing to do. */
function stable<Value>(compute: () => Value): ReadonlySignal<Value> {
  let [last, text]: [Value | undefined, string] = [undefined, ''];
  return computed(() => {
    const value = compute();
    const now = JSON.stringify(value) as string | undefined;
    if (last === undefined || now !== text) [last, text] = [value, now ?? ''];
    return last;
  });
}

const NONE: readonly never[] = [];
export const isLoaded = computed(() => project.value !== undefined);
export const classes = stable<readonly StudioClass[]>(() => project.value?.classes ?? NONE);
export const classNames = stable<readonly string[]>(() => (project.value?.classes ?? NONE).map(({ name }) => name));
export const photoCount = computed(() => classes.value.reduce((sum, { photos }) => sum + photos, 0));
export const settings = stable(() => project.value?.settings);
export const models = stable<readonly string[]>(() => project.value?.models ?? NONE);
export const recommended = stable(() => project.value?.recommended);
export const bin = stable(() => project.value?.bin ?? NONE);
export const warnings = stable<readonly string[]>(() => project.value?.warnings ?? NONE);
/** With the runs that were deleted. */
export const binBytes = computed(() => project.value?.binBytes ?? 0);
export const revision = computed(() => project.value?.revision ?? 0);
export const places = stable(() => {
  const { data = '', runs: folder = '', version = '' } = project.value ?? {};
  return { data, runs: folder, version };
});
/** Why these photos cannot be trained on; nothing where there are none yet, which is no fault. */
export const problem = computed(() => (photoCount.value > 0 ? project.value?.problem : undefined));
export const canTrain = computed(() => photoCount.value > 0 && problem.value === undefined);
/** Runs that can be looked at: all that have a result. */
export const finishedRuns = computed(() => (runs.value ?? NONE).filter(({ top1 }) => top1 !== undefined));
/** What tells how long a training takes: the trainings that have ended, and whether the live head has seen photos. */
export const measured = stable(() => ({
  runs: finishedRuns.value.map(({ name, at }) => [name, at]),
  isLive: live.value?.result !== undefined,
}));
const ACTIVE: readonly Job['state'][] = ['waiting', 'running', 'stopping'];
export const isActive = ({ state }: Job): boolean => ACTIVE.includes(state);
export const activeJobs = computed(() => jobs.value.filter(isActive));

function take(event: StudioEvent): void {
  switch (event.type) {
    case 'project':
      project.value = event.project;
      break;
    case 'live':
      live.value = event.live;
      break;
    case 'jobs':
      jobs.value = event.jobs;
      jobsAt.value = Date.now();
      break;
    case 'runs':
      runs.value = event.runs;
      break;
  }
}

/** While many photos come there are many events; the latest of each type is shown, this often. */
const SHOWN_EVERY_MS = 60;
/** After the server has refused, which ends what a browser tries by itself. */
const TRIED_AGAIN_MS = 2000;

/** Follows the server's events for as long as the page is there. */
export function follow(): void {
  const waiting = new Map<StudioEvent['type'], StudioEvent>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const show = () => {
    timer = undefined;
    const events = [...waiting.values()];
    waiting.clear();
    batch(() => {
      for (const event of events) take(event);
    });
  };
  const connect = () => {
    const source = new EventSource(EVENTS);
    source.onopen = () => {
      connection.value = 'open';
    };
    source.onmessage = ({ data }) => {
      const event = JSON.parse(String(data)) as StudioEvent;
      waiting.set(event.type, event);
      timer ??= setTimeout(show, SHOWN_EVERY_MS);
    };
    source.onerror = () => {
      connection.value = 'lost';
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, TRIED_AGAIN_MS);
    };
  };
  connect();
}
