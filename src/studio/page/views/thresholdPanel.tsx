import { useComputed } from '@preact/signals';
import { percent } from '../formatting.js';
import { present, threshold } from '../lookStore.js';
import { effectOf, suggestedThreshold } from '../tallies.js';
import { texts } from '../texts.js';

/** From which probability on an answer counts; below it a photo is none of the classes. */
export function ThresholdPanel() {
  const words = texts.threshold;
  const suggested = useComputed(() => suggestedThreshold(present.value));
  const effect = useComputed(() => effectOf(present.value, threshold.value));
  const { right, kept, wrong, turnedAway } = effect.value;
  return (
    <section class="card" aria-labelledby="threshold">
      <h3 id="threshold">{words.title}</h3>
      <p class="note">{words.what}</p>
      <label class="field">
        {words.label}
        <input
          type="range"
          min={0}
          max={1}
          step={0.01}
          value={threshold}
          aria-valuetext={percent(threshold.value, 0)}
          onInput={({ currentTarget }) => (threshold.value = currentTarget.valueAsNumber)}
        />
      </label>
      <p role="status">
        <strong>{percent(threshold.value, 0)}</strong> {words.effect(kept, right, turnedAway, wrong)}
      </p>
      {right > 0 && (
        <button type="button" onClick={() => (threshold.value = suggested.value)}>
          {words.use(percent(suggested.value, 0))}
        </button>
      )}
      <p class="note">{words.warning}</p>
    </section>
  );
}
