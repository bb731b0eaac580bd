import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { percent } from '../formatting.js';
import { failure, LIVE, lookedAt, predictions, tally, watchPredictions } from '../lookStore.js';
import { goTo } from '../routes.js';
import { finishedRuns, live } from '../state.js';
import { texts } from '../texts.js';
import { ClassFigures } from './classFigures.js';
import { Confusion, type ConfusionCell } from './confusion.js';
import { Mistakes } from './mistakes.js';
import { ThresholdPanel } from './thresholdPanel.js';
import { TryPanel } from './tryPanel.js';

/** What the live head or a run makes of the photos that validate, and of others. */
export function LookView() {
  const words = texts.look;
  const cell = useSignal<ConfusionCell | undefined>(undefined);
  const of = lookedAt.value;
  useEffect(watchPredictions, []);
  useEffect(() => {
    cell.value = undefined;
  }, [of]);
  if (of === undefined) return <p class="empty">{words.nothing}</p>;
  const now = tally.value;
  return (
    <>
      <div class="row">
        <Choice of={of} />
        <p role="status">
          {now ? words.right(now.right, now.photos, percent(now.photos > 0 ? now.right / now.photos : 0)) : null}
          {!predictions.value && failure.value === undefined && words.predicting}
        </p>
      </div>
      {failure.value !== undefined && <p role="alert">{failure.value}</p>}
      <div class="two">
        {now ? <Confusion tally={now} chosen={cell.value} onChoose={(next) => (cell.value = next)} /> : <div />}
        <TryPanel of={of} />
      </div>
      {now && <Mistakes of={of} cell={cell.value} onAll={() => (cell.value = undefined)} />}
      {now && (
        <div class="two">
          <ClassFigures tally={now} />
          <ThresholdPanel />
        </div>
      )}
    </>
  );
}

function Choice({ of }: { readonly of: string }) {
  const words = texts.look;
  return (
    <label class="field inline">
      {words.of}
      <select value={of} onChange={({ currentTarget }) => goTo('look', currentTarget.value)}>
        {live.value?.result && <option value={LIVE}>{words.live}</option>}
        {finishedRuns.value.map(({ name, policy, top1 }) => (
          <option key={name} value={name}>
            {words.run(name, policy, percent(top1 ?? 0))}
          </option>
        ))}
      </select>
    </label>
  );
}
