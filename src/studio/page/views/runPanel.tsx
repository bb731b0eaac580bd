import { useSignal } from '@preact/signals';
import type { StudioRun, RunDetails } from '../../api.js';
import { client } from '../client.js';
import { askWhether } from '../dialogs.js';
import { CopyLine } from '../parts/copyLine.js';
import { Panel } from '../parts/panel.js';
import { hashOf } from '../routes.js';
import { compare, openRun } from '../runList.js';
import { activeJobs } from '../state.js';
import { texts } from '../texts.js';
import { attempt, say } from '../toasts.js';
import { ClassFigures } from './classFigures.js';
import { useRunDetails } from './runDetails.js';

/** One run: its notes, the line that trains the same, its classes, and what can be done with it. */
export function RunPanel({ run }: { readonly run: StudioRun }) {
  const words = texts.runs;
  const { name, stopped } = run;
  const details = useRunDetails(() => [name]).value.get(name);
  const isGoing = activeJobs.value.some((job) => job.run === name);
  return (
    <Panel title={name} onClose={() => (openRun.value = undefined)}>
      <div class="row">
        <a href={hashOf('look', name)}>{words.look}</a>
        <a href={hashOf('export', name)}>{words.export}</a>
        {stopped && !isGoing && (
          <button type="button" onClick={() => void attempt(() => client.start({ kind: 'resume', run: name }))}>
            {texts.train.goOn}
          </button>
        )}
        <span class="gap" />
        <button type="button" class="quiet" disabled={isGoing} onClick={() => void remove(name)}>
          {words.delete}
        </button>
      </div>
      <Notes run={run} />
      {details ? <Details details={details} /> : <p role="status">{words.loading}</p>}
    </Panel>
  );
}

async function remove(name: string): Promise<void> {
  if (!(await askWhether(texts.runs.deleteQuestion(name)))) return;
  if (!(await attempt(() => client.deleteRun(name)))) return;
  compare(name, false);
  openRun.value = undefined;
  say(texts.runs.deleted(name));
}

function Notes({ run }: { readonly run: StudioRun }) {
  const words = texts.runs;
  const draft = useSignal<string | undefined>(undefined);
  const isSaving = useSignal(false);
  const text = draft.value ?? run.notes;
  const save = async () => {
    isSaving.value = true;
    if (await attempt(() => client.note(run.name, text))) {
      say(words.noted);
      draft.value = undefined;
    }
    isSaving.value = false;
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <label class="field">
        {words.notes}
        <textarea rows={3} value={text} onInput={({ currentTarget }) => (draft.value = currentTarget.value)} />
      </label>
      <button type="submit" disabled={isSaving.value || text === run.notes}>
        {words.saveNotes}
      </button>
    </form>
  );
}

function Details({ details }: { readonly details: RunDetails }) {
  const words = texts.runs;
  return (
    <>
      <h4>{words.again}</h4>
      <CopyLine text={details.command} label={words.again} />
      {details.warnings.length > 0 && (
        <ul class="warnings">
          {details.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      {details.classes.length > 0 && <ClassFigures tally={details} />}
    </>
  );
}
