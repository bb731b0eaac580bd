import { useSignal, useSignalEffect, type ReadonlySignal } from '@preact/signals';
import { untracked } from '@preact/signals';
import type { RunDetails } from '../../api.js';
import { client } from '../client.js';
import { runs } from '../state.js';
import { complain } from '../toasts.js';

/** Details of these runs, each as it was when its summary was last written; those that are not there yet are missing. */
export function useRunDetails(names: () => readonly string[]): ReadonlySignal<ReadonlyMap<string, RunDetails>> {
  const found = useSignal<ReadonlyMap<string, RunDetails>>(new Map());
  useSignalEffect(() => {
    const wanted = names();
    const times = new Map((runs.value ?? []).map(({ name, at }) => [name, at]));
    const controller = new AbortController();
    const read = async (name: string) => {
      try {
        const details = await client.run(name, controller.signal);
        if (!controller.signal.aborted) found.value = new Map([...found.value, [name, details]]);
      } catch (error) {
        complain(error);
      }
    };
    untracked(() => {
      const old = found.value;
      const kept = [...old].filter(([name, { at }]) => wanted.includes(name) && times.get(name) === at);
      if (kept.length !== old.size) found.value = new Map(kept);
      for (const name of wanted) if (!found.value.has(name) && times.has(name)) void read(name);
    });
    return () => controller.abort();
  });
  return found;
}
