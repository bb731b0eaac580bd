import { join } from 'node:path';
import {
  type Forecast,
  headlineIn,
  scoreOf,
  type SuiteEvent,
  type SuiteResults,
  type SuiteSession,
} from '../internal.js';
import { showDuration, showPercent, table, type Terminal } from './terminal.js';

/** How what a suite lacks is given. */
export const PLACES = ' (--model NAME=PATH, --data NAME=PATH)';

/** Shows what a suite does. */
export class BenchView {
  failed = 0;
  private timer: NodeJS.Timeout | undefined;
  private place = '';

  constructor(private readonly terminal: Terminal) {}

  show(event: SuiteEvent): void {
    this.close();
    const { terminal } = this;
    switch (event.type) {
      case 'drawing':
        terminal.progress(`drawing ${event.data}`, event.done, event.total);
        break;
      case 'idle':
        terminal.print(`looking at the idle machine for ${event.seconds} s`);
        break;
      case 'preparing':
        terminal.print(event.what);
        break;
      case 'run':
        this.place = `${String(event.place).padStart(String(event.total).length)}/${event.total}`;
        this.tellTime(event);
        break;
      case 'ran': {
        const { run, result } = event;
        terminal.print(
          `${this.place} ${run.id}: ${headlineIn(result).title} ${showPercent(scoreOf(result))} in ${showDuration(1000 * result.wallSeconds)}`,
        );
        break;
      }
      case 'failed':
        this.failed++;
        terminal.warn(`${this.place} ${event.run.id} failed: ${event.error}`);
        break;
    }
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Tells every second, until it is closed, for how long a run has been under way. */
  private tellTime({ run, expectedSeconds, leftSeconds }: Extract<SuiteEvent, { readonly type: 'run' }>): void {
    const began = performance.now();
    const tell = () => {
      const passed = performance.now() - began;
      const of = expectedSeconds === undefined ? '' : ` of about ${showDuration(1000 * expectedSeconds)}`;
      const left = leftSeconds === undefined ? '' : `, ${showDuration(Math.max(0, 1000 * leftSeconds - passed))} left`;
      this.terminal.status(`${this.place} ${run.id}: ${showDuration(passed)}${of}${left}`);
    };
    tell();
    this.timer = setInterval(tell, 1000);
  }
}

/** Finds out how long the runs will take, and tells it. */
export async function showForecast(session: SuiteSession, view: BenchView, terminal: Terminal): Promise<void> {
  const forecasts = await forecastsOf(session, view);
  const rows = forecasts.map(({ run, seconds, basis, error }) => [
    `${run.id}${run.round > 1 ? ` again (${run.round})` : ''}`,
    basis === 'finished' ? 'finished' : seconds === undefined ? '?' : showDuration(1000 * seconds),
    basis === 'finished' ? '' : error === undefined ? WORDS[basis] : `it fails: ${error}`,
  ]);
  if (rows.length > 0) for (const line of table([['run', 'takes', 'known from'], ...rows])) terminal.result(line);
  for (const { title, missing } of session.suite.rows)
    if (missing !== undefined) terminal.result(`missing: ${title}: ${missing}${PLACES}`);
  const seconds = forecasts.reduce((sum, each) => sum + (each.seconds ?? 0), 0);
  const left = forecasts.filter(({ basis }) => basis !== 'finished').length;
  terminal.result(`${left} runs are left, in about ${showDuration(1000 * seconds)}, beside warm-up and report`, 'bold');
  terminal.json({
    runs: forecasts.map(({ run, ...forecast }) => ({ id: run.id, round: run.round, ...forecast })),
    missing: missingOf(session),
    leftSeconds: seconds,
  });
}

async function forecastsOf(session: SuiteSession, view: BenchView): Promise<Forecast[]> {
  const steps = session.forecast();
  let step = await steps.next();
  for (; !step.done; step = await steps.next()) view.show(step.value);
  return step.value;
}

const WORDS: Readonly<Record<Forecast['basis'], string>> = {
  finished: '',
  'measured before': 'runs of its kind that are finished',
  probe: 'a short training on a few photos',
  failed: '',
};

/** Tells what the suite has found so far, and where its report is; `more` stands in the answer of `--json`. */
export function printResults(
  { outcomes, suite }: SuiteResults,
  out: string,
  terminal: Terminal,
  more: object = {},
): void {
  const done = outcomes.filter(({ result }) => result).length;
  const report = join(out, 'report.html');
  terminal.result(`${done} of ${outcomes.length} runs are finished: ${report}`, 'bold');
  terminal.json({
    suite: suite.name,
    out,
    report,
    finished: done,
    runs: outcomes.map(({ run, result, error, at }) => ({
      ...{ id: run.id, round: run.round, at: at ?? null },
      ...(result ? { result } : { error: error ?? 'not run' }),
    })),
    missing: missingOf({ suite }),
    ...more,
  });
}

const missingOf = ({ suite }: Pick<SuiteResults, 'suite'>) =>
  suite.rows.flatMap(({ name, missing }) => (missing === undefined ? [] : [{ row: name, missing }]));
