import { useSignal, useSignalEffect } from '@preact/signals';
import type { Cost } from '../../api.js';
import { client, isAbort, wordsOf } from '../client.js';
import { inBytes, inFull, inTime, percent } from '../formatting.js';
import { classes, measured, settings } from '../state.js';
import { readAll } from '../refreshing.js';
import { texts } from '../texts.js';
import { epochs, policy } from '../trainSettings.js';

/** Somebody who types a number is not asked for after each digit. */
const ASKED_AFTER_MS = 250;

/** What a training costs, told before it begins. */
export function CostBox() {
  const words = texts.cost;
  const cost = useSignal<{ readonly cost: Cost; readonly epochs: number } | undefined>(undefined);
  const failure = useSignal<string | undefined>(undefined);
  const isAsking = useSignal(false);
  useSignalEffect(() => {
    const [wanted, count] = [policy.value, epochs.value];
    // A change of these changes it.
    readAll(settings, classes, measured);
    const controller = new AbortController();
    isAsking.value = true;
    const ask = async () => {
      try {
        cost.value = { cost: await client.cost(wanted, controller.signal), epochs: count };
        failure.value = undefined;
      } catch (error) {
        if (isAbort(error)) return;
        [cost.value, failure.value] = [undefined, wordsOf(error)];
      }
      isAsking.value = false;
    };
    const timer = setTimeout(() => void ask(), ASKED_AFTER_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  });
  return (
    <div class="cost" role="status" aria-busy={isAsking}>
      <h4>{words.title}</h4>
      {failure.value !== undefined && <p class="note">{failure.value}</p>}
      {!cost.value && failure.value === undefined && <p class="note">{words.reckoning}</p>}
      {cost.value && <CostList {...cost.value} />}
    </div>
  );
}

function CostList({ cost, epochs }: { readonly cost: Cost; readonly epochs: number }) {
  const words = texts.cost;
  const { parameters, trainableParameters, memoryBytes, firstEpochMs, laterEpochMs } = cost;
  const isKnown = firstEpochMs !== undefined && laterEpochMs !== undefined;
  const whole = isKnown ? firstEpochMs + (epochs - 1) * laterEpochMs : 0;
  return (
    <dl class="facts">
      <div>
        <dt>{words.time}</dt>
        <dd>
          {isKnown && words.about(inTime(whole))}
          {!isKnown && (laterEpochMs === undefined ? words.unknown : words.later(inTime(laterEpochMs)))}
          {!isKnown && <p class="note">{laterEpochMs === undefined ? words.untilTrained : words.untilSeen}</p>}
          {isKnown && <span class="note"> {words.epochs(inTime(firstEpochMs), inTime(laterEpochMs))}</span>}
        </dd>
      </div>
      <div>
        <dt>{words.memory}</dt>
        <dd>{inBytes(memoryBytes)}</dd>
      </div>
      <div>
        <dt>{words.parameters}</dt>
        <dd>
          {inFull(trainableParameters)}
          <span class="note">
            {' '}
            {words.share(percent(parameters > 0 ? trainableParameters / parameters : 0), inFull(parameters))}
          </span>
        </dd>
      </div>
    </dl>
  );
}
