import type { Argv } from 'yargs';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  chosenRuns,
  hashOf,
  jobScript,
  runsOf,
  type SlurmJob,
  type Suite,
  sweep,
  type SweepEvent,
  type SweepState,
  UserError,
  writeSuiteReport,
} from '../internal.js';
import { tellMissing } from './benchMerge.js';
import { printResults } from './benchView.js';
import type { Interruption } from './interruption.js';
import { wholeNumber } from './sharedFlags.js';
import type { Terminal } from './terminal.js';

/** Flags of `ort-tl bench` that are of an array alone. */
export interface SlurmArguments {
  on: 'slurm' | undefined;
  shards: number | undefined;
  nodes: number | undefined;
  partition: string | undefined;
  time: string | undefined;
  sbatch: string[] | undefined;
  'script-only': boolean;
}

/** Flags that each task is given as they are, and those whose value is a place. */
export interface PassedArguments {
  model: string[] | undefined;
  data: string[] | undefined;
  only: string | undefined;
  out: string | undefined;
  'keep-runs': boolean;
  energy: string | undefined;
  watts: number | undefined;
  powercap: string | undefined;
}

/** Parts where nobody says how many. */
const USUAL_SHARDS = 8;
const ONLY_ON_SLURM = ['shards', 'nodes', 'partition', 'time', 'sbatch', 'script-only'] as const;

/** Adds the flags of an array. */
export const withSlurmFlags = <T>(yargs: Argv<T>): Argv<T & SlurmArguments> =>
  yargs
    .option('on', {
      choices: ['slurm'] as const,
      describe:
        'submit the suite to Slurm as an array, watch it, and join its parts; the same command takes it up again',
    })
    .option('shards', {
      type: 'number',
      requiresArg: true,
      describe: 'with --on slurm: tasks of the array (default: 8)',
    })
    .option('nodes', {
      type: 'number',
      requiresArg: true,
      describe: 'with --on slurm: how many nodes work at a time, at most',
    })
    .option('partition', { type: 'string', requiresArg: true, describe: 'with --on slurm: as sbatch takes it' })
    .option('time', {
      type: 'string',
      requiresArg: true,
      describe: 'with --on slurm: as sbatch takes it; a part that takes longer is submitted again, and goes on',
    })
    .option('sbatch', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: "with --on slurm: another flag of sbatch, such as '--account=me'; for several, several times",
    })
    .option('script-only', {
      type: 'boolean',
      default: false,
      describe: 'with --on slurm: print the job script, and submit nothing',
    });

/** @throws UserError `bad-arguments` for a flag that means nothing together with the others. */
export function checkSlurmFlags(
  args: SlurmArguments & { readonly shard: string | undefined; 'dry-run': boolean; 'report-only': boolean },
): void {
  const refuse = (text: string) => new UserError('bad-arguments', text);
  if (args.on === undefined) {
    const alone = ONLY_ON_SLURM.find((name) => args[name] !== undefined && args[name] !== false);
    if (alone !== undefined) throw refuse(`--${alone} is for --on slurm`);
    return;
  }
  if (args.shard !== undefined)
    throw refuse('expected --on slurm or --shard, not both: each task of the array is given its own');
  for (const name of ['dry-run', 'report-only'] as const)
    if (args[name]) throw refuse(`expected --on slurm or --${name}, not both`);
}

/**
 * Runs a suite as an array of Slurm, and writes the report of all parts; with `--script-only` shows what it would submit.
 * @param command how ort-tl is called: a program and its first words.
 * @throws UserError `bad-arguments`, and what {@link sweep} throws.
 */
export async function benchOnSlurm(
  suite: Suite,
  args: SlurmArguments & PassedArguments,
  command: readonly string[],
  { terminal, interruption }: { readonly terminal: Terminal; readonly interruption: Interruption },
): Promise<void> {
  const job = jobOf(suite, args, command);
  if (args['script-only']) {
    for (const line of jobScript(job).trimEnd().split('\n')) terminal.result(line);
    terminal.json({ script: jobScript(job) });
    return;
  }
  terminal.print(`${job.count} parts, by Slurm; ${job.out} has to be a folder that all nodes share`);
  const sweeping = sweep({
    ...job,
    suite: hashOf([suite, job.command]),
    signal: interruption.signal,
    cancels: () => interruption.exitCode === 130,
  });
  let step = await sweeping.next();
  for (; !step.done; step = await sweeping.next()) showEvent(step.value, terminal);
  const end = step.value;
  if (!('merged' in end)) {
    process.exitCode = interruption.exitCode;
    terminal.warn(
      'cancelled' in end
        ? `cancelled job ${end.cancelled.join(', ')}; what is finished is kept, and the same command takes it up again`
        : `job ${end.left.join(', ')} goes on by itself; the same command watches it again`,
    );
    return;
  }
  await writeSuiteReport(end.merged.results, job.out);
  tellMissing(end.merged, terminal);
  const { missingShards, missingRuns } = end.merged;
  printResults(end.merged.results, job.out, terminal, { missingShards, missingRuns });
  if (end.merged.results.outcomes.some(({ result, error }) => !result && error !== undefined) || missingRuns.length > 0)
    process.exitCode = 1;
}

function jobOf(suite: Suite, args: SlurmArguments & PassedArguments, command: readonly string[]): SlurmJob {
  const runs = chosenRuns(runsOf(suite), args.only);
  if (runs.length === 0)
    throw new UserError('no-runs', `nothing of ${suite.file} can be run there; see ort-tl bench --dry-run`);
  const nodes = args.nodes === undefined ? undefined : wholeNumber('nodes', args.nodes, 1);
  const asked = args.shards === undefined ? (nodes ?? USUAL_SHARDS) : wholeNumber('shards', args.shards, 1);
  return {
    name: suite.name,
    out: resolve(args.out ?? join('runs', `bench-${suite.name}`)),
    cwd: process.cwd(),
    // A part without runs would start a node for nothing.
    count: Math.min(asked, runs.length),
    command: [...command, 'bench', resolve(suite.file), ...passedOn(args)],
    asked: { nodes, partition: args.partition, time: args.time, sbatch: args.sbatch ?? [] },
  };
}

/** The flags that each task is given, with absolute paths. */
function passedOn(args: PassedArguments): string[] {
  const { only, energy, watts, powercap } = args;
  const places = (flag: string, given: readonly string[] = []) =>
    given.map((each) => {
      const [name = '', ...path] = each.split('=');
      const place = path.join('=');
      return `--${flag}=${name}=${flag === 'data' || existsSync(place) ? resolve(place) : place}`;
    });
  return [
    ...places('model', args.model),
    ...places('data', args.data),
    ...Object.entries({ only, energy, watts }).flatMap(([flag, value]) =>
      value === undefined ? [] : [`--${flag}=${value}`],
    ),
    ...(powercap === undefined ? [] : [`--powercap=${resolve(powercap)}`]),
    ...(args['keep-runs'] ? ['--keep-runs'] : []),
  ];
}

let lastState = '';

function showEvent(event: SweepEvent, terminal: Terminal): void {
  switch (event.type) {
    case 'submitted':
      terminal.print(`submitted job ${event.job}: ${event.tasks === 1 ? 'one task' : `${event.tasks} tasks`}`);
      break;
    case 'taken-up':
      terminal.print(`goes on watching job ${event.jobs.join(', ')}`);
      break;
    case 'state': {
      const line = lineOf(event);
      terminal.status(line);
      // Where lines cannot be rewritten, each change is one.
      if (line !== lastState && !process.stderr.isTTY) terminal.note(line);
      lastState = line;
      break;
    }
    case 'again':
      terminal.warn(
        `task ${event.index} ended as ${event.state}: it is submitted again (${event.time} of ${event.of})`,
      );
      break;
    case 'given-up':
      terminal.warn(`task ${event.index} ended as ${event.state} again, and is given up; ${event.log} tells more`);
  }
}

function lineOf({ waiting, running, done, failed, reasons, finishedRuns }: SweepState): string {
  const why = reasons.length > 0 ? ` (${reasons.join(', ')})` : '';
  const lost = failed > 0 ? `, ${failed} failed` : '';
  return `tasks: ${waiting} waiting${why}, ${running} running, ${done} done${lost}; ${finishedRuns === 1 ? 'one run' : `${finishedRuns} runs`} finished`;
}
