import { useSignal, useSignalEffect } from '@preact/signals';
import { client } from '../client.js';
import { inFull, inTime, percent, percentRange } from '../formatting.js';
import { Range } from '../parts/bar.js';
import { hashOf } from '../routes.js';
import { live, photoCount, problem, settings, warnings } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';

/** The head that learns as photos come: what it does now, and how good it is. */
export function LiveStrip() {
  const words = texts.live;
  const now = live.value;
  const isOn = settings.value?.live ?? false;
  const { state = 'waiting', done = 0, total = 0, message, result } = now ?? {};
  // Why it waits is told below, and without any photos it is no fault.
  const isTold = state === 'waiting' && (photoCount.value === 0 || problem.value !== undefined);
  const isBusy = state === 'loading' || state === 'features' || state === 'training';
  return (
    <section class="live" aria-label={words.title} data-state={state}>
      <div class="live-state">
        <button
          type="button"
          role="switch"
          class="switch"
          aria-checked={isOn}
          disabled={!settings.value}
          onClick={() => void attempt(() => client.change({ live: !isOn }))}
        >
          <span class="knob" aria-hidden="true" />
          {words.title}
        </button>
        <span class={isBusy ? 'state busy' : 'state'}>{words.states[state]}</span>
        {state === 'features' && total > 0 && (
          <>
            <progress max={total} value={done} aria-label={words.features} />
            <span class="note">{words.done(inFull(done), inFull(total))}</span>
          </>
        )}
        {message !== undefined && !isTold && <span class={state === 'failed' ? 'failure' : 'note'}>{message}</span>}
      </div>
      {result && (
        <div class="live-result">
          <strong class="figure-large">{percent(result.top1)}</strong>
          <span class="interval">
            <span class="note">{words.interval(percentRange(result.interval), result.valPhotos)}</span>
            <Range {...result} />
          </span>
          <span class="note">{words.trained(inFull(result.trainPhotos), inTime(result.elapsedMs))}</span>
          <a href={hashOf('look', 'live')}>{words.look}</a>
        </div>
      )}
      {problem.value !== undefined && <p class="problem">{problem.value}</p>}
      {warnings.value.map((line) => (
        <p key={line} class="note">
          {line}
        </p>
      ))}
      <Announcement />
    </section>
  );
}

/** Results come several times a second; one that stays is read aloud. */
const QUIET_MS = 1500;

function Announcement() {
  const said = useSignal('');
  useSignalEffect(() => {
    const now = live.value;
    if (now?.state !== 'ready' || !now.result) return undefined;
    const { top1, valPhotos } = now.result;
    const timer = setTimeout(() => (said.value = texts.live.spoken(percent(top1), valPhotos)), QUIET_MS);
    return () => clearTimeout(timer);
  });
  return (
    <p class="unseen" role="status">
      {said}
    </p>
  );
}
