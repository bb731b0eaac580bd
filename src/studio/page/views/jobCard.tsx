import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Job } from '../../api.js';
import { client } from '../client.js';
import { inFull, inTime, percent } from '../formatting.js';
import { CopyLine } from '../parts/copyLine.js';
import { Curves } from '../parts/curves.js';
import { hashOf } from '../routes.js';
import { isActive, jobsAt } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';

/** A job: what it does, how far it is, what can be done with it, and its curves. */
export function JobCard({ job }: { readonly job: Job }) {
  const words = texts.job;
  const { id, kind, state, command, run, results, message } = job;
  const best = results && results.length > 0 ? Math.max(...results.map(({ top1 }) => top1)) : undefined;
  return (
    <article class="card job" data-state={state} aria-label={words.label(kind, run)}>
      <div class="row">
        <h4>
          {words.kinds[kind]} {run !== undefined && <bdi>{run}</bdi>}
        </h4>
        <span class="state">{words.states[state]}</span>
        <span class="gap" />
        {isActive(job) && (
          <button type="button" disabled={state === 'stopping'} onClick={() => void attempt(() => client.stop(id))}>
            {words.stop}
          </button>
        )}
        {state === 'stopped' && run !== undefined && (
          <button type="button" onClick={() => void attempt(() => client.start({ kind: 'resume', run }))}>
            {texts.train.goOn}
          </button>
        )}
        {state === 'done' && run !== undefined && <a href={hashOf('look', run)}>{words.look}</a>}
      </div>
      {isActive(job) ? <Progress job={job} /> : <p class="note">{words.took(inTime(job.elapsedMs))}</p>}
      {message !== undefined && <p class={state === 'failed' ? 'failure' : 'note'}>{message}</p>}
      {best !== undefined && <p>{words.best(percent(best))}</p>}
      {results && results.length > 0 && (
        <details open={isActive(job) || undefined}>
          <summary>{words.curves}</summary>
          <Curves runs={[{ name: run ?? id, results }]} />
        </details>
      )}
      <details>
        <summary>{words.command}</summary>
        <CopyLine text={command} label={words.command} />
      </details>
    </article>
  );
}

/** Between events clocks go on by themselves. */
const TICK_MS = 1000;

function Progress({ job }: { readonly job: Job }) {
  const words = texts.job;
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  const { progress, epochs, results } = job;
  const since = job.state === 'waiting' ? 0 : Math.max(0, now.value - jobsAt.value);
  const left = leftOf(job);
  return (
    <div class="progress">
      {progress && progress.total > 0 && (
        <p>
          <progress max={progress.total} value={progress.done} aria-label={progress.phase} /> {progress.phase}{' '}
          <span class="note">{words.done(inFull(progress.done), inFull(progress.total))}</span>
        </p>
      )}
      <p class="note">
        {epochs !== undefined && `${words.epoch(Math.min(epochs, (results?.length ?? 0) + 1), epochs)} · `}
        {words.elapsed(inTime(job.elapsedMs + since))}
        {left !== undefined && ` · ${words.left(inTime(Math.max(0, left - since)))}`}
      </p>
    </div>
  );
}

/** As long for each epoch that is left as for those before. */
function leftOf({ epochs, results, elapsedMs }: Job): number | undefined {
  const done = results?.length ?? 0;
  return epochs === undefined || done === 0 ? undefined : (elapsedMs / done) * (epochs - done);
}
