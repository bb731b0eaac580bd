import { client } from '../client.js';
import { inFull } from '../formatting.js';
import { activeJobs, runs } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';

/** Trainings that were stopped, and can go on. */
export function StoppedRuns() {
  const words = texts.train;
  const going = new Set(activeJobs.value.map(({ run }) => run));
  const stopped = (runs.value ?? []).filter(({ stopped, name }) => stopped && !going.has(name));
  if (stopped.length === 0) return null;
  return (
    <section class="card" aria-label={words.stopped}>
      <h3>{words.stopped}</h3>
      <ul class="list">
        {stopped.map(({ name, policy, epochs }) => (
          <li key={name}>
            <span>
              <bdi>{name}</bdi> <span class="note">{words.stoppedAfter(policy, inFull(epochs))}</span>
            </span>
            <button
              type="button"
              aria-label={words.goOnWith(name)}
              onClick={() => void attempt(() => client.start({ kind: 'resume', run: name }))}
            >
              {words.goOn}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
