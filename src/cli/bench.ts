import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { entryPoint } from '../entryPoint.js';
import {
  type EnergyChoice,
  energyChoices,
  parseShard,
  readSuite,
  showShard,
  type Suite,
  SuiteSession,
  type SuiteSessionOptions,
  UserError,
  writeSuiteReport,
} from '../internal.js';
import { mergeParts } from './benchMerge.js';
import { benchOnSlurm, checkSlurmFlags, type SlurmArguments, withSlurmFlags } from './benchSlurm.js';
import { BenchView, PLACES, printResults, showForecast } from './benchView.js';
import type { Interruption } from './interruption.js';
import { interruptibly } from './interruptibly.js';
import { number, shared } from './sharedFlags.js';
import { findModel } from './sourceModel.js';
import { Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments extends SlurmArguments {
  suite: string;
  folders: string[] | undefined;
  model: string[] | undefined;
  data: string[] | undefined;
  only: string | undefined;
  shard: string | undefined;
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
const COMMAND = [process.execPath, ...process.execArgv, entryPoint('main')];
/** Suites that come with ort-tl. */
const SHIPPED = ['quick', 'paper', 'scale'];

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    withSlurmFlags(yargs)
      .positional('suite', {
        type: 'string',
        demandOption: true,
        describe: `a suite, a YAML file, or one that comes with ort-tl: ${SHIPPED.join(', ')}; merge joins parts that --shard has made`,
      })
      .positional('folders', { type: 'string', array: true, describe: 'with merge: the folders of the parts' })
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
        describe: 'NAME=PATH: where a model of the suite is, or the name of a network (ort-tl models ls)',
      })
      .option('only', {
        type: 'string',
        requiresArg: true,
        describe: 'runs with these words: F1C1, small_cnn/F1C0, seed-0/cold; several with commas',
      })
      .option('shard', {
        type: 'string',
        requiresArg: true,
        describe:
          'make one part of the runs alone: 3/8, the third of eight; auto asks Slurm, Kubernetes, AWS Batch or SHARD, SHARDS',
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
      .example('$0 bench my-suite.yaml --energy estimate --watts 7', 'where nothing can be measured')
      .example('$0 bench my-suite.yaml --shard 1/3 --out part1', 'the first of three parts, on any machine')
      .example('$0 bench merge part1 part2 part3 --out all', 'and all of them together')
      .example('$0 bench my-suite.yaml --on slurm --shards 8 --partition cpu --time 2:00:00', 'on a cluster'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const { folders = [] } = args;
    if (args.suite === 'merge') {
      await mergeParts(folders, args.out, terminal);
      return;
    }
    if (folders.length > 0)
      throw new UserError('bad-arguments', `expected one suite, got ${args.suite} and ${folders.join(', ')}`);
    checkSlurmFlags(args);
    const doing = args.on ? 'ending' : 'ending the training under way; what is finished is kept';
    await interruptibly(terminal, { doing }, async (interruption) => {
      const before = suiteOf(args);
      const isRunning = !args['dry-run'] && !args['report-only'] && !args['script-only'];
      const names = isRunning ? before.rows.flatMap(({ model: { toPull } }) => toPull ?? []) : [];
      for (const name of new Set(names)) await findModel(terminal, name, { signal: interruption.signal });
      // What was loaded is there now.
      const suite = names.length > 0 ? suiteOf(args) : before;
      if (args.on) await benchOnSlurm(suite, args, COMMAND, { terminal, interruption });
      else await runSuite(suite, args, terminal, interruption);
    });
  },
};

/** Makes the runs that are asked for, and writes the report; or tells how long they would take. */
async function runSuite(suite: Suite, args: Arguments, terminal: Terminal, interruption: Interruption): Promise<void> {
  const { signal } = interruption;
  const shard = args.shard === undefined ? undefined : parseShard(args.shard);
  const part = shard === undefined ? '' : `-${shard.index}-of-${shard.count}`;
  const out = args.out ?? join('runs', `bench-${suite.name}${part}`);
  if (shard?.readFrom !== undefined) terminal.print(`shard ${showShard(shard)}, read from ${shard.readFrom}`);
  const session = await openPatiently(suite, terminal, {
    command: COMMAND,
    out,
    signal,
    keepRuns: args['keep-runs'],
    ...(args.only === undefined ? {} : { only: args.only }),
    ...(shard === undefined ? {} : { shard }),
    ...(args.powercap === undefined ? {} : { powercap: args.powercap }),
  });
  const view = new BenchView(terminal);
  try {
    for await (const event of session.prepare()) view.show(event);
    if (args['dry-run']) {
      await showForecast(session, view, terminal);
      return;
    }
    const makes = !args['report-only'];
    const finished = session.runs.length - session.left.length;
    if (makes) terminal.print(`${finished} of ${session.runs.length} runs are finished; results in ${out}`);
    for (const { title, missing } of suite.rows)
      if (missing !== undefined) terminal.warn(`missing: ${title}: ${missing}${PLACES}`);
    if (makes) for await (const event of session.run()) view.show(event);
    view.close();
    await writeSuiteReport(session.results, out);
    printResults(session.results, out, terminal);
    if (signal.aborted) {
      process.exitCode = interruption.exitCode;
      terminal.warn('stopped; the same command goes on');
    } else if (view.failed > 0) process.exitCode = 1;
  } finally {
    view.close();
    session.close();
  }
}

/** How long the lock of a task that was killed on another node may keep its part: longer than what takes a lock for dead. */
const PATIENCE_MS = 90_000;

/** Opens a suite's folder. A task of Slurm waits for one that had it before, of which from another node nobody can see that it has ended. */
async function openPatiently(suite: Suite, terminal: Terminal, options: SuiteSessionOptions): Promise<SuiteSession> {
  const until = performance.now() + PATIENCE_MS;
  for (let tries = 1; ; tries++) {
    try {
      return await SuiteSession.open(suite, options);
    } catch (thrown) {
      const isTaken = thrown instanceof UserError && thrown.code === 'folder-in-use';
      const waits = options.shard !== undefined && process.env['SLURM_JOB_ID'] !== undefined;
      if (!isTaken || !waits || performance.now() > until || options.signal?.aborted) throw thrown;
      if (tries === 1) terminal.note(`waiting: ${thrown.text}`);
      await sleep(1000, undefined, { signal: options.signal }).catch(() => undefined);
    }
  }
}

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
