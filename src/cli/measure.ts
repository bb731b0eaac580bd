import { hideBin } from 'yargs/helpers';
import {
  energyChoices,
  type EnergyChoice,
  findMeter,
  type IdleBaseline,
  measureCommand,
  type Measurement,
  measureIdle,
  type MeterAccess,
  spreadOf,
  UserError,
} from '../internal.js';
import { handleSignals } from './interruption.js';
import { duration, shared, wholeNumber } from './sharedFlags.js';
import { showBytes, table, Terminal } from './terminal.js';
import type { Verb } from './verb.js';

interface Arguments {
  energy: EnergyChoice;
  watts: number | undefined;
  idle: string;
  powercap: string | undefined;
  repeat: number;
  json: boolean;
  quiet: boolean;
}

/** What a shell exits with when there is no such command. */
const NOT_FOUND = 127;

export const verb: Verb<Arguments> = {
  builder: (yargs) =>
    yargs
      .usage(
        '$0 measure [options] -- COMMAND [arguments..]\n\nRuns a command, and tells on standard error what it cost. Exits as the command does.',
      )
      .option('energy', {
        choices: energyChoices,
        default: 'auto' as const,
        describe: 'what joules come from; auto: every counter of the machine, never an estimate',
      })
      .option('watts', {
        type: 'number',
        requiresArg: true,
        describe: 'what one busy core draws, for --energy estimate',
      })
      .option('idle', {
        type: 'string',
        default: '5s',
        requiresArg: true,
        describe: 'how long to look at the idle machine first, for net joules; 0 for not at all',
      })
      .option('powercap', {
        type: 'string',
        requiresArg: true,
        describe: 'where the counters of RAPL are, when not in /sys/class/powercap, as in a container',
      })
      .option('repeat', { type: 'number', default: 1, requiresArg: true, describe: 'runs, for medians and ranges' })
      .option('json', {
        ...shared.json,
        describe: 'print the figures as JSON, and what the command prints on standard error',
      })
      .option('quiet', shared.quiet)
      .example('$0 measure -- ort-tl train --model m.onnx --data photos', '')
      .example('$0 measure --repeat 5 --json -- python train.py > cost.json', '')
      .example('$0 measure --energy estimate --watts 7 -- ./program', 'where nothing can be measured'),
  handler: async (args) => {
    const terminal = new Terminal(args);
    const given = hideBin(process.argv);
    const end = given.indexOf('--');
    const command = end < 0 ? [] : given.slice(end + 1);
    if (command.length === 0)
      throw new UserError('bad-arguments', 'expected a command behind two dashes, such as ort-tl measure -- sleep 1');
    const repeat = wholeNumber('repeat', args.repeat, 1);
    const idleMs = /^0+(\.0+)?\s*[a-z]*$/.test(args.idle) ? 0 : duration('idle', args.idle);
    const { energy, watts, powercap } = args;
    const access = await findMeter({
      energy,
      ...(watts === undefined ? {} : { watts }),
      ...(powercap === undefined ? {} : { powercap }),
    });
    const runs: Measurement[] = [];
    try {
      const idle = energy === 'estimate' ? undefined : await idleOf(access, idleMs / 1000, args.quiet, terminal);
      await run({ command, repeat, access, idle, json: args.json }, runs);
      if (repeat === 1) for (const each of runs) printRun(each, access, terminal);
      else printRuns(runs, terminal);
      terminal.json({ command, meter: describe(access), idle: idle ?? null, runs, spreads: spreadsOf(runs) });
      process.exitCode = runs.at(-1)?.exitCode ?? 0;
    } catch (thrown) {
      if (!(thrown instanceof UserError) || thrown.code !== 'command-not-found') throw thrown;
      terminal.warn(`ort-tl: ${thrown.text}`);
      process.exitCode = NOT_FOUND;
    }
  },
};

async function idleOf(
  access: MeterAccess,
  seconds: number,
  quiet: boolean,
  terminal: Terminal,
): Promise<IdleBaseline | undefined> {
  if (access.kind === 'none' || seconds === 0) return undefined;
  if (!quiet && seconds > 2) terminal.beside(`idle: looking at the machine for ${seconds} s, before the command runs`);
  return measureIdle(access.open(), seconds);
}

interface Measured {
  readonly command: readonly string[];
  /** How often it runs at most. */
  readonly repeat: number;
  readonly access: MeterAccess;
  readonly idle: IdleBaseline | undefined;
  /** Whether standard output is for the figures, so that the command prints on standard error. */
  readonly json: boolean;
}

/** Runs the command until one of its runs fails or is interrupted, and adds what each cost to `runs`. */
async function run({ command, repeat, access, idle, json }: Measured, runs: Measurement[]): Promise<void> {
  const received: NodeJS.Signals[] = [];
  let send: ((name: NodeJS.Signals) => void) | undefined;
  const passOn = (name: NodeJS.Signals) => {
    received.push(name);
    // A terminal sends Ctrl-C to the command too.
    const isSentToAll = name === 'SIGINT' && [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
    if (!isSentToAll) send?.(name);
    return true;
  };
  const release = handleSignals(passOn);
  const hangUp = () => passOn('SIGHUP');
  process.on('SIGHUP', hangUp);
  const meter = access.kind === 'meter' ? { meter: access.open() } : { noMeter: access.reason };
  try {
    do {
      runs.push(
        await measureCommand(command, {
          ...meter,
          ...(idle ? { idle } : {}),
          stdio: json ? 'stderr' : 'inherit',
          onStart: (sendToCommand) => {
            send = sendToCommand;
            // What came while the shell was started.
            for (const name of received) send(name);
          },
        }),
      );
    } while (runs.length < repeat && received.length === 0 && runs.at(-1)?.exitCode === 0);
  } finally {
    release();
    process.off('SIGHUP', hangUp);
  }
}

const describe = (access: MeterAccess): string =>
  access.kind === 'meter' ? access.describe : `none: ${access.reason}`;

const showSeconds = (seconds: number) => `${seconds.toFixed(seconds < 1 ? 3 : 2)} s`;
const showJoules = (joules: number) => `${joules.toLocaleString('en-US', { maximumSignificantDigits: 4 })} J`;

/** Every quantity of a run. */
const QUANTITIES: readonly (readonly [
  key: string,
  what: string,
  read: (run: Measurement) => number | null | undefined,
  show: (value: number) => string,
])[] = [
  ['wallSeconds', 'wall-clock', (run) => run.wallSeconds, showSeconds],
  ['userSeconds', 'CPU, user', (run) => run.userSeconds, showSeconds],
  ['systemSeconds', 'CPU, system', (run) => run.systemSeconds, showSeconds],
  ['peakRssBytes', 'peak memory', (run) => run.peakRssBytes, showBytes],
  ['readBytes', 'read from storage', (run) => run.readBytes, showBytes],
  ['writtenBytes', 'written to storage', (run) => run.writtenBytes, showBytes],
  ['grossJ', 'energy, gross', (run) => run.energy?.grossJ, showJoules],
  ['idleJ', 'energy, idle', (run) => run.energy?.idleJ, showJoules],
  ['netJ', 'energy, net', (run) => run.energy?.netJ, showJoules],
];

/** The known values of a quantity over all runs. */
const valuesOf = (runs: readonly Measurement[], read: (run: Measurement) => number | null | undefined): number[] =>
  runs.flatMap((each) => read(each) ?? []);

const spreadsOf = (runs: readonly Measurement[]) =>
  Object.fromEntries(QUANTITIES.map(([key, , read]) => [key, spreadOf(valuesOf(runs, read)) ?? null]));

function printRun(run: Measurement, access: MeterAccess, terminal: Terminal): void {
  const rows = QUANTITIES.flatMap(([key, what, read, show]) => {
    const value = read(run);
    if (value === null || value === undefined)
      return key === 'grossJ' || !key.endsWith('J') ? [[what, 'not measured']] : [];
    const estimated = key.endsWith('J') && run.energy?.estimated ? ', estimated' : '';
    return [[what, `${show(value)}${estimated}`]];
  });
  terminal.beside('');
  for (const line of aligned(rows)) terminal.beside(line);
  const zones = Object.entries(run.energy?.zones ?? {});
  if (zones.length > 0)
    terminal.beside(
      `${describe(access).split(':')[0] ?? ''}: ${zones.map(([name, joules]) => `${name} ${showJoules(joules)}`).join(', ')}`,
    );
  printNotes([run], terminal);
}

function printRuns(runs: readonly Measurement[], terminal: Terminal): void {
  const rows = QUANTITIES.flatMap(([key, what, read, show]) => {
    const spread = spreadOf(valuesOf(runs, read));
    if (!spread) return key === 'grossJ' || !key.endsWith('J') ? [[what, 'not measured', '', '']] : [];
    const estimated = key.endsWith('J') && runs.some(({ energy }) => energy?.estimated) ? ', estimated' : '';
    return [[`${what}${estimated}`, ...[spread.median, spread.min, spread.max].map(show)]];
  });
  terminal.beside('');
  for (const line of table([[`${runs.length} runs`, 'median', 'least', 'most'], ...rows])) terminal.beside(line);
  printNotes(runs, terminal);
}

/** Why something is not there, and whatever else one must know to read the figures. */
function printNotes(runs: readonly Measurement[], terminal: Terminal): void {
  const notes = runs.flatMap(({ notes, energy, energyNotMeasured, exitCode, signal }) => [
    ...(energyNotMeasured === undefined ? [] : [`energy not measured: ${energyNotMeasured}`]),
    ...notes,
    ...(energy?.notes ?? []),
    ...(exitCode === 0 ? [] : [signal ? `ended by ${signal}` : `exit code ${exitCode}`]),
  ]);
  for (const each of new Set(notes)) terminal.beside(each);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([what = '']) => what.length));
  return rows.map(([what = '', value = '']) => `${what.padEnd(width)}  ${value}`);
}
