import { compared, openRun, sortBy, sortedRuns, sorting, compare, type RunKey } from '../runList.js';
import { inBytes, inDate, inFull, inJoules, inTime, percent, percentRange } from '../formatting.js';
import { places, runs } from '../state.js';
import { texts } from '../texts.js';
import type { StudioRun } from '../../api.js';
import { ComparedCurves } from './comparedCurves.js';
import { RunPanel } from './runPanel.js';

/** All runs that there are, to be sorted, compared and looked at. */
export function RunsView() {
  const words = texts.runs;
  const all = sortedRuns.value;
  if (!runs.value) return <p role="status">{words.loading}</p>;
  if (all.length === 0) return <p class="empty">{words.none(places.value.runs)}</p>;
  const hasEnergy = all.some(({ energyJ }) => energyJ !== undefined);
  const open = all.find(({ name }) => name === openRun.value);
  return (
    <>
      <p class="note">{words.hint}</p>
      <div class="table-box card" role="region" tabIndex={0} aria-label={words.table}>
        <table class="runs">
          <caption class="unseen">{words.table}</caption>
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">{words.compare}</span>
              </th>
              <Sorted of="name" />
              <Sorted of="at" />
              <Sorted of="policy" />
              <Sorted of="model" />
              <Sorted of="epochs" />
              <Sorted of="top1" />
              <Sorted of="elapsedMs" />
              <Sorted of="peakRssBytes" />
              {hasEnergy && <Sorted of="energyJ" />}
              <th scope="col">{words.notes}</th>
            </tr>
          </thead>
          <tbody>
            {all.map((run) => (
              <RunRow key={run.name} run={run} hasEnergy={hasEnergy} />
            ))}
          </tbody>
        </table>
      </div>
      {open && <RunPanel key={open.name} run={open} />}
      <ComparedCurves />
    </>
  );
}

function Sorted({ of }: { readonly of: RunKey }) {
  const { key, isDown } = sorting.value;
  const isSorted = key === of;
  return (
    <th scope="col" aria-sort={isSorted ? (isDown ? 'descending' : 'ascending') : undefined}>
      <button type="button" class="sort" onClick={() => sortBy(of)}>
        {texts.runs.columns[of]}
        <span aria-hidden="true">{isSorted ? (isDown ? ' ▾' : ' ▴') : ''}</span>
      </button>
    </th>
  );
}

function RunRow({ run, hasEnergy }: { readonly run: StudioRun; readonly hasEnergy: boolean }) {
  const words = texts.runs;
  const { name, at, policy, model, epochs, top1, interval, elapsedMs, peakRssBytes, energyJ, stopped, notes, problem } =
    run;
  const isOpen = openRun.value === name;
  return (
    <tr class={isOpen ? 'chosen' : undefined}>
      <td>
        <input
          type="checkbox"
          aria-label={words.compareWhat(name)}
          checked={compared.value.has(name)}
          onChange={({ currentTarget }) => compare(name, currentTarget.checked)}
        />
      </td>
      <th scope="row">
        <button
          type="button"
          class="link"
          aria-expanded={isOpen}
          onClick={() => (openRun.value = isOpen ? undefined : name)}
        >
          <bdi>{name}</bdi>
        </button>
        {stopped && <span class="badge">{words.stopped}</span>}
        {problem !== undefined && <p class="failure">{problem}</p>}
      </th>
      <td>{inDate(at)}</td>
      <td>{policy}</td>
      <td>
        <bdi>{model}</bdi>
      </td>
      <td>{inFull(epochs)}</td>
      <td>
        {top1 === undefined ? '' : percent(top1)}
        {interval && <span class="note"> ({percentRange(interval)})</span>}
      </td>
      <td>{inTime(elapsedMs)}</td>
      <td>{inBytes(peakRssBytes)}</td>
      {hasEnergy && <td>{energyJ === undefined ? '' : inJoules(energyJ)}</td>}
      <td class="notes">{notes}</td>
    </tr>
  );
}
