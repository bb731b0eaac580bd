import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entryPoint } from '../entryPoint.js';
import {
  type EnergyChoice,
  energyChoices,
  type Forecast,
  readSuite,
  type Suite,
  type SuiteEvent,
  SuiteSession,
  UserError,
  writeSuiteReport,
} from '../index.js';
import { Interruption } from './interruption.js';
import { number, shared } from './options.js';
import { showDuration, showPercent, table, Terminal } from './terminal.js';
import { runFlags } from './runArguments.js';
import { checkSettings } from './train.js';
import type { Verb } from './verb.js';

interface Arguments {
  suite: string;
  model: string[] | undefined;
  data: string[] | undefined;
  only: string | undefined;
  out: string | undefined;
  'dry-run': boolean;
  'report-only': boolean;
  'keep-runs': boolean;
  energy: EnergyChoice | undefined;
  watts: number | undefined;
  powercap: string | undefined;
  json: boolean;
  quiet: boolean;
}

/** The command that this process runs. */
const COMMAND = [process.execPath, entryPoint('main')];
/** Suites that come with ort-tl. */
const SHIPPED = ['quick', 'paper', 'scale'];

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .positional('suite', {
        type: 'string',
        demandOption: true,
        describe: `a suite, a YAML file, or one that comes with ort-tl: ${SHIPPED.join(', ')}`,
      })
      .option('data', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'NAME=PATH: where a data set of the suite is; for several, several times',
      })
      .option('model', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'NAME=PATH: where a model of the suite is',
      })
      .option('only', {
        type: 'string',
        requiresArg: true,
        describe: 'runs with these words: F1C1, small_cnn/F1C0, seed-0/cold; several with commas',
      })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'folder for the results (default: runs/bench-<suite>); a suite that was begun there goes on',
      })
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'list the runs, and how long they will take',
      })
      .option('report-only', {
        type: 'boolean',
        default: false,
        describe: 'run nothing, and write the report of what has been run',
      })
      .option('keep-runs', {
        type: 'boolean',
        default: false,
        describe: 'keep the folder of each training, with its model, below runs/ in --out',
      })
      .option('energy', {
        choices: energyChoices,
        describe: 'what joules come from (default: as the suite says, else auto: every counter of the machine)',
      })
      .option('watts', {
        type: 'number',
        requiresArg: true,
        describe: 'what one busy core draws, for --energy estimate',
      })
      .option('powercap', {
        type: 'string',
        requiresArg: true,
        describe: 'where the counters of RAPL are, when not in /sys/class/powercap, as in a container',
      })
      .option('json', shared.json)
      .option('quiet', shared.quiet)
      .example('$0 bench quick', 'the embedded model on drawn pictures, in a few minutes')
      .example('$0 bench paper --dry-run', 'what would run, and how long it would take')
      .example('$0 bench paper --data intel=photos/ --model b0=efficientnet_b0.onnx --only b0-intel', '')
      .example('$0 bench my-suite.yaml --energy estimate --watts 7', 'where nothing can be measured'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const suite = suiteOf(args);
    const out = args.out ?? join('runs', `bench-${suite.name}`);
    const interruption = new Interruption((what) => {
      terminal.warn(what);
    }, 'ending the training under way; what is finished is kept');
    const { signal } = interruption;
    let close: (() => void) | undefined;
    try {
      const session = await SuiteSession.open(suite, {
        command: COMMAND,
        out,
        signal,
        keepRuns: args['keep-runs'],
        ...(args.only === undefined ? {} : { only: args.only }),
        ...(args.powercap === undefined ? {} : { powercap: args.powercap }),
      });
      const view = new View(terminal);
      close = () => session.close();
      try {
        for await (const event of session.prepare()) view.show(event);
        if (args['dry-run']) {
          await showForecast(session, view, terminal);
          return;
        }
        const runs = args['report-only'] ? 0 : session.left.length;
        if (!args['report-only'])
          terminal.print(
            `${session.runs.length - runs} of ${session.runs.length} runs are finished; results in ${out}`,
          );
        for (const { title, missing } of suite.rows)
          if (missing !== undefined) terminal.warn(`missing: ${title}: ${missing}`);
        if (!args['report-only']) for await (const event of session.run()) view.show(event);
      } finally {
        view.close();
      }
      const { results } = session;
      await writeSuiteReport(results, out);
      printResults(session, out, terminal);
      if (signal.aborted) {
        process.exitCode = interruption.exitCode;
        terminal.warn('stopped; the same command goes on');
      } else if (view.failed > 0 && !args['report-only']) process.exitCode = 1;
    } catch (thrown) {
      if (!(thrown instanceof UserError) || thrown.code !== 'stopped') throw thrown;
      terminal.warn(`ort-tl: ${thrown.text}`);
      process.exitCode = interruption.exitCode;
    } finally {
      close?.();
      interruption.close();
    }
  },
};

function suiteOf(args: Arguments): Suite {
  const isThere = existsSync(args.suite);
  const shipped = SHIPPED.includes(args.suite) && !isThere;
  if (!isThere && !shipped)
    throw new UserError(
      'bad-suite',
      `there is no file ${args.suite}; name a suite, a YAML file, or one that comes with ort-tl: ${SHIPPED.join(', ')}`,
    );
  const file = shipped ? fileURLToPath(new URL(`../../bench/${args.suite}.yaml`, import.meta.url)) : args.suite;
  const suite = readSuite(file, {
    settings: runFlags.known,
    switches: runFlags.switches,
    check: checkSettings,
    models: placesOf('model', args.model),
    data: placesOf('data', args.data),
  });
  const { energy = suite.energy.source } = args;
  const given =
    args.watts === undefined ? undefined : number('watts', args.watts, 'a positive number', (each) => each > 0);
  const watts = given ?? (energy === suite.energy.source ? suite.energy.watts : undefined);
  return { ...suite, energy: { ...suite.energy, source: energy, watts } };
}

/** NAME=PATH as a record. @throws UserError `bad-arguments`. */
function placesOf(flag: string, given: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    given.map((each) => {
      const at = each.indexOf('=');
      if (at <= 0 || at === each.length - 1)
        throw new UserError('bad-arguments', `expected NAME=PATH, got \`${each}\` (--${flag})`);
      return [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

/** Shows what a suite does. */
class View {
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
      case 'run': {
        const { run, place, total, expectedSeconds, leftSeconds } = event;
        this.place = `${String(place).padStart(String(total).length)}/${total}`;
        const began = performance.now();
        const tell = () => {
          const passed = performance.now() - began;
          const of = expectedSeconds === undefined ? '' : ` of about ${showDuration(1000 * expectedSeconds)}`;
          const left =
            leftSeconds === undefined ? '' : `, ${showDuration(Math.max(0, 1000 * leftSeconds - passed))} left`;
          terminal.status(`${this.place} ${run.id}: ${showDuration(passed)}${of}${left}`);
        };
        tell();
        this.timer = setInterval(tell, 1000);
        break;
      }
      case 'ran': {
        const { run, result } = event;
        terminal.print(
          `${this.place} ${run.id}: top-1 ${showPercent(result.top1)} in ${showDuration(1000 * result.wallSeconds)}`,
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
}

async function showForecast(session: SuiteSession, view: View, terminal: Terminal): Promise<void> {
  const steps = session.forecast();
  let forecasts: Forecast[] = [];
  for (;;) {
    const step = await steps.next();
    if (step.done) {
      forecasts = step.value;
      break;
    }
    view.show(step.value);
  }
  const rows = forecasts.map(({ run, seconds, basis, error }) => [
    `${run.id}${run.round > 1 ? ` again (${run.round})` : ''}`,
    basis === 'finished' ? 'finished' : seconds === undefined ? '?' : showDuration(1000 * seconds),
    basis === 'finished' ? '' : error === undefined ? WORDS[basis] : `it fails: ${error}`,
  ]);
  if (rows.length > 0) for (const line of table([['run', 'takes', 'known from'], ...rows])) terminal.result(line);
  for (const { title, missing } of session.suite.rows)
    if (missing !== undefined) terminal.result(`missing: ${title}: ${missing}`);
  const seconds = forecasts.reduce((sum, each) => sum + (each.seconds ?? 0), 0);
  const left = forecasts.filter(({ basis }) => basis !== 'finished').length;
  terminal.result(`${left} runs are left, in about ${showDuration(1000 * seconds)}, beside warm-up and report`, 'bold');
  terminal.json({
    runs: forecasts.map(({ run, ...forecast }) => ({ id: run.id, round: run.round, ...forecast })),
    missing: session.suite.rows.flatMap(({ name, missing }) => (missing === undefined ? [] : [{ row: name, missing }])),
    leftSeconds: seconds,
  });
}

const WORDS: Readonly<Record<Forecast['basis'], string>> = {
  finished: '',
  'measured before': 'runs of its kind that are finished',
  probe: 'a short training on a few photos',
  failed: '',
};

function printResults(session: SuiteSession, out: string, terminal: Terminal): void {
  const { outcomes, suite } = session.results;
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
    missing: suite.rows.flatMap(({ name, missing }) => (missing === undefined ? [] : [{ row: name, missing }])),
  });
}
