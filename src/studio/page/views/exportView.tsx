import { useSignal, type Signal } from '@preact/signals';
import type { Exported, ExportForm, Job } from '../../api.js';
import { client, exportOf } from '../client.js';
import { inBytes, inFull, inTime, percent } from '../formatting.js';
import { goTo, route } from '../routes.js';
import { finishedRuns, isActive, jobs } from '../state.js';
import { texts } from '../texts.js';
import { attempt } from '../toasts.js';
import { JobCard } from './jobCard.js';
import { UseLines } from './useLines.js';

const FORMS: readonly ExportForm[] = ['fp32', 'fp16', 'int8', 'web', 'transformers-js', 'delta'];

/** Makes a run a file for elsewhere, and says how to use it. */
export function ExportView() {
  const words = texts.export;
  const form = useSignal<ExportForm>('fp32');
  const all = finishedRuns.value;
  const { view, of } = route.value;
  const run = all.find(({ name }) => view === 'export' && name === of)?.name ?? all[0]?.name;
  const exports = jobs.value.filter(({ kind }) => kind === 'export');
  if (run === undefined) return <p class="empty">{words.nothing}</p>;
  return (
    <>
      <div class="two">
        <ExportChoice run={run} form={form} />
        <section aria-labelledby="made">
          <h3 id="made">{words.made}</h3>
          {exports.length === 0 && <p class="note">{words.noneMade}</p>}
          {exports.map((job) => (
            <ExportCard key={job.id} job={job} />
          ))}
        </section>
      </div>
      <UseLines form={form.value} />
    </>
  );
}

function ExportChoice({ run, form }: { readonly run: string; readonly form: Signal<ExportForm> }) {
  const words = texts.export;
  return (
    <form
      class="card"
      aria-labelledby="what"
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(() => client.start({ kind: 'export', run, form: form.value }));
      }}
    >
      <h3 id="what">{words.what}</h3>
      <label class="field">
        {words.run}
        <select value={run} onChange={({ currentTarget }) => goTo('export', currentTarget.value)}>
          {finishedRuns.value.map(({ name, policy, top1 }) => (
            <option key={name} value={name}>
              {texts.look.run(name, policy, percent(top1 ?? 0))}
            </option>
          ))}
        </select>
      </label>
      <fieldset class="policies">
        <legend>{words.form}</legend>
        {FORMS.map((each) => (
          <label key={each}>
            <input
              type="radio"
              name="form"
              value={each}
              checked={form.value === each}
              onChange={() => (form.value = each)}
            />
            <span>
              <strong>{words.names[each]}</strong> {words.forms[each]}
            </span>
          </label>
        ))}
      </fieldset>
      <div class="actions">
        <button type="submit" class="main">
          {words.start}
        </button>
      </div>
    </form>
  );
}

function ExportCard({ job }: { readonly job: Job }) {
  if (!job.exported || isActive(job)) return <JobCard job={job} />;
  return <Ready exported={job.exported} />;
}

function Ready({ exported }: { readonly exported: Exported }) {
  const words = texts.export;
  const { name, bytes, agreement, photos, top1, latencyMs } = exported;
  return (
    <article class="card">
      <div class="row">
        <h4>
          <bdi>{name}</bdi>
        </h4>
        <span class="gap" />
        <a class="button main" href={exportOf(name)} download>
          {words.download(inBytes(bytes))}
        </a>
      </div>
      <dl class="facts">
        {agreement !== undefined && (
          <div>
            <dt>{words.agreement}</dt>
            <dd>
              {percent(agreement)}
              {photos !== undefined && <span class="note"> {words.ofPhotos(inFull(photos))}</span>}
            </dd>
          </div>
        )}
        {top1 !== undefined && (
          <div>
            <dt>{words.top1}</dt>
            <dd>{percent(top1)}</dd>
          </div>
        )}
        {latencyMs !== undefined && (
          <div>
            <dt>{words.latency}</dt>
            <dd>{inTime(latencyMs)}</dd>
          </div>
        )}
      </dl>
    </article>
  );
}
