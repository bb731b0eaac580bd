import { computed, signal } from '@preact/signals';
import { classNames } from './state.js';

/** The views in the order of their tabs. */
export const VIEWS = ['photos', 'train', 'look', 'runs', 'export'] as const;
export type ViewName = (typeof VIEWS)[number];

/** `#photos/cat`, `#look/first`: a view and what it shows. */
interface Route {
  readonly view: ViewName;
  readonly of: string | undefined;
}

function read(): Route {
  const [view = '', of] = location.hash.slice(1).split('/');
  const known = VIEWS.find((each) => each === view) ?? 'photos';
  try {
    return { view: known, of: of ? decodeURIComponent(of) : undefined };
  } catch {
    return { view: known, of: undefined };
  }
}

export const route = signal(read());
addEventListener('hashchange', () => {
  route.value = read();
});

/** What a link to a view is. */
export const hashOf = (view: ViewName, of?: string): string =>
  of === undefined ? `#${view}` : `#${view}/${encodeURIComponent(of)}`;

export function goTo(view: ViewName, of?: string): void {
  location.hash = hashOf(view, of);
}

const lastClass = signal<string | undefined>(undefined);
/** The class whose photos are shown: the address's, else the one before, else the first. */
export const chosenClass = computed(() => {
  const { view, of } = route.value;
  const names = classNames.value;
  const wanted = view === 'photos' ? of : undefined;
  return [wanted, lastClass.value].find((name) => name !== undefined && names.includes(name)) ?? names[0];
});
chosenClass.subscribe((name) => {
  lastClass.value = name;
});
