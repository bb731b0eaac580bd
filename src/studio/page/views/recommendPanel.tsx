import type { StudioRecommendation } from '../../api.js';
import { client } from '../client.js';
import { inBytes, inDate, inJoules, inTime, percent, percentRange } from '../formatting.js';
import { CopyLine } from '../parts/copyLine.js';
import { Scatter } from '../parts/scatter.js';
import { canTrain, isActive, jobs, recommended } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';
import { policy, training } from '../trainSettings.js';
import { JobCard } from './jobCard.js';

/** Asks which policy is worth its time, and shows what was said. */
export function RecommendPanel() {
  const words = texts.recommend;
  const all = jobs.value.filter(({ kind }) => kind === 'recommend');
  const [last] = all;
  const here = all.find(({ recommendation }) => recommendation !== undefined)?.recommendation;
  // Jobs are forgotten when the studio ends.
  const kept = here ? undefined : recommended.value;
  const given = here ?? kept?.recommendation;
  const isBusy = last !== undefined && isActive(last);
  const hasFailed = last?.state === 'failed';
  return (
    <section class="card" aria-labelledby="recommend">
      <h3 id="recommend">{words.title}</h3>
      <p class="note">{words.what}</p>
      <div class="actions">
        <button
          type="button"
          disabled={isBusy || !canTrain.value}
          onClick={() => void attempt(() => client.start({ kind: 'recommend' }))}
        >
          {given ? words.again : words.start}
        </button>
      </div>
      {last && (isBusy || hasFailed) && <JobCard job={last} />}
      {given && <Recommendation recommendation={given} />}
      {kept && (
        <>
          <p class="note">{words.kept(inDate(kept.at))}</p>
          <CopyLine text={kept.command} label={words.keptLine} />
        </>
      )}
    </section>
  );
}

function train(of: string): void {
  policy.value = of;
  void attempt(() => client.start(training(of)));
}

function Recommendation({ recommendation }: { readonly recommendation: StudioRecommendation }) {
  const words = texts.recommend;
  const hasEnergy = recommendation.policies.some(({ energyJ }) => energyJ !== undefined);
  return (
    <>
      <p>
        <strong>{words.chosen(recommendation.policy)}</strong> {recommendation.reason}
      </p>
      <div class="actions">
        <button type="button" class="main" onClick={() => train(recommendation.policy)}>
          {words.trainThis(recommendation.policy)}
        </button>
      </div>
      <div class="table-box" role="region" tabIndex={0} aria-label={words.table}>
        <table>
          <caption class="unseen">{words.table}</caption>
          <thead>
            <tr>
              <th scope="col">{words.policy}</th>
              <th scope="col">
                <span class="unseen">{words.action}</span>
              </th>
              <th scope="col">{words.top1}</th>
              <th scope="col">{words.timeShort}</th>
              <th scope="col">{words.memory}</th>
              {hasEnergy && <th scope="col">{words.energy}</th>}
              <th scope="col">{words.verdict}</th>
            </tr>
          </thead>
          <tbody>
            {recommendation.policies.map((each) => (
              <Candidate
                key={each.policy}
                candidate={each}
                isChosen={each.policy === recommendation.policy}
                hasEnergy={hasEnergy}
              />
            ))}
          </tbody>
        </table>
      </div>
      <Scatter recommendation={recommendation} />
    </>
  );
}

interface CandidateProps {
  readonly candidate: StudioRecommendation['policies'][number];
  readonly isChosen: boolean;
  readonly hasEnergy: boolean;
}

function Candidate({ candidate, isChosen, hasEnergy }: CandidateProps) {
  const words = texts.recommend;
  const { policy: name, top1, interval, predictedMs, memoryBytes, energyJ, verdict } = candidate;
  return (
    <tr class={isChosen ? 'chosen' : undefined}>
      <th scope="row">
        {name}
        {isChosen && ` ✓`}
        {isChosen && <span class="unseen"> {words.isChosen}</span>}
      </th>
      <td>
        <button type="button" class="quiet" onClick={() => train(name)}>
          {words.trainThis(name)}
        </button>
      </td>
      <td>
        {top1 === undefined ? '' : percent(top1)}
        {interval && <span class="note"> ({percentRange(interval)})</span>}
      </td>
      <td>{predictedMs === undefined ? '' : inTime(predictedMs)}</td>
      <td>{memoryBytes === undefined ? '' : inBytes(memoryBytes)}</td>
      {hasEnergy && <td>{energyJ === undefined ? words.notMeasured : inJoules(energyJ)}</td>}
      <td class="verdict">{verdict}</td>
    </tr>
  );
}
