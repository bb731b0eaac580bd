import { Curves } from '../parts/curves.js';
import { compared, sortedRuns } from '../runList.js';
import { texts } from '../texts.js';
import { useRunDetails } from './runDetails.js';

/** The curves of the runs that were checked, over each other. */
export function ComparedCurves() {
  const words = texts.runs;
  const names = () => sortedRuns.value.map(({ name }) => name).filter((name) => compared.value.has(name));
  const details = useRunDetails(names);
  const shown = names().flatMap((name) => details.value.get(name) ?? []);
  return (
    <section class="card" aria-labelledby="curves">
      <h3 id="curves">{words.curves}</h3>
      {compared.value.size === 0 && <p class="note">{words.compareHint}</p>}
      <Curves runs={shown} />
    </section>
  );
}
