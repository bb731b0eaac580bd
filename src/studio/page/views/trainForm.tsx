import { useId } from 'preact/hooks';
import { client } from '../client.js';
import { hashOf } from '../routes.js';
import { canTrain, photoCount, problem } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';
import { crops, epochs, flips, learningRate, memory, POLICIES, policy, training } from '../trainSettings.js';
import { CostBox } from './costBox.js';
import { ModelField } from './modelField.js';

/** What trains, for how long, and what that costs. */
export function TrainForm() {
  const words = texts.train;
  const id = useId();
  return (
    <form
      class="card"
      aria-labelledby={id}
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(() => client.start(training()));
      }}
    >
      <h3 id={id}>{words.title}</h3>
      <ModelField />
      <fieldset class="policies">
        <legend>{words.policy}</legend>
        {POLICIES.map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="policy"
              value={each}
              checked={policy.value === each}
              onChange={() => (policy.value = each)}
            />
            <span>
              <strong>{each}</strong> {words.policies[each]}
            </span>
          </label>
        ))}
      </fieldset>
      <label class="field short">
        {words.epochs}
        <input
          type="number"
          min={1}
          max={10000}
          required
          value={epochs}
          onInput={({ currentTarget }) => {
            if (currentTarget.checkValidity()) epochs.value = currentTarget.valueAsNumber;
          }}
        />
      </label>
      <MoreSettings />
      <CostBox />
      {problem.value !== undefined && <p class="problem">{problem.value}</p>}
      {photoCount.value === 0 && (
        <p class="note">
          {words.needsPhotos} <a href={hashOf('photos')}>{words.toPhotos}</a>
        </p>
      )}
      <div class="actions">
        <button type="submit" class="main" disabled={!canTrain.value}>
          {words.start}
        </button>
      </div>
    </form>
  );
}

function MoreSettings() {
  const words = texts.train;
  return (
    <details>
      <summary>{words.more}</summary>
      <label class="field short">
        {words.learningRate}
        <input
          type="text"
          inputMode="decimal"
          pattern="[0-9]*\.?[0-9]+(e-?[0-9]+)?"
          placeholder={words.byPolicy}
          title={words.learningRateHint}
          value={learningRate}
          onInput={({ currentTarget }) => (learningRate.value = currentTarget.value)}
        />
      </label>
      <label class="field short">
        {words.memory}
        <input
          type="text"
          pattern="\s*[0-9]+(\.[0-9]+)?\s*(MB|GB|kB)?\s*"
          placeholder={words.noLimit}
          title={words.memoryHint}
          value={memory}
          onInput={({ currentTarget }) => (memory.value = currentTarget.value)}
        />
      </label>
      <fieldset>
        <legend>{words.augmentation}</legend>
        <label>
          <input
            type="checkbox"
            checked={flips}
            onChange={({ currentTarget }) => (flips.value = currentTarget.checked)}
          />
          {words.flip}
        </label>
        <label>
          <input
            type="checkbox"
            checked={crops}
            onChange={({ currentTarget }) => (crops.value = currentTarget.checked)}
          />
          {words.crop}
        </label>
        <p class="note">{words.augmentationNote}</p>
      </fieldset>
    </details>
  );
}
