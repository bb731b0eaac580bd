import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants as access, openSync, statSync } from 'node:fs';
import { constants, devNull } from 'node:os';
import { delimiter, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Duplex, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EnergyReading, type IdleBaseline, type Meter, withIdle } from '../energy/meter.js';
import { messageOf, UserError } from '../errors.js';
import { LIFELINE } from '../lifeline.js';
import { onExit } from '../onExit.js';
import { userEnvironment } from '../runtime/telemetry.js';
import { childSeconds, isCopyOf, memoryOf, processTree, storageBytes } from './processTree.js';

/** What a command cost. What could not be measured is null, and `notes` say why. */
export interface Measurement {
  readonly command: readonly string[];
  /** The exit code that a shell tells: 128 and the signal's number for a command that a signal ended. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
  readonly wallSeconds: number;
  /** Time on processors of the command and everything that it started and waited for. */
  readonly userSeconds: number | null;
  readonly systemSeconds: number | null;
  /** The most that all of its processes held in memory at one time: pages that several share count for each. */
  readonly peakRssBytes: number | null;
  /** From and to storage; what the page cache served is not in it. */
  readonly readBytes: number | null;
  readonly writtenBytes: number | null;
  readonly energy: EnergyReading | null;
  /** Why `energy` is null. */
  readonly energyNotMeasured?: string;
  readonly notes: readonly string[];
}

export interface MeasureOptions {
  readonly meter?: Meter;
  readonly idle?: IdleBaseline;
  /** Why there is no meter: what `energyNotMeasured` then says. */
  readonly noMeter?: string;
  readonly cwd?: string;
  /** By default ours, without what we have set for ourselves. */
  readonly env?: NodeJS.ProcessEnv;
  /** `inherit`: the command has our input and outputs; `stderr`: its output goes where our errors go; `ignore`: it has none. */
  readonly stdio?: 'inherit' | 'stderr' | 'ignore';
  /** Gets every line that the command prints, which then goes nowhere else. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** Ends all processes of the command by SIGTERM, and by SIGKILL 3 s later. */
  readonly signal?: AbortSignal;
  /** Gets, before the command starts, what sends a signal to all of its processes, and leaves the rest to them. */
  readonly onStart?: (send: (name: NodeJS.Signals) => void) => void;
  /** For commands of ort-tl: they end when this process does, however that ends. */
  readonly endsWithUs?: boolean;
}

/**
 * Runs a command and tells what it cost. Energy is the whole machine's in that time. On Linux the command's processes are ended, by
 * SIGTERM and then by SIGKILL, when this one is killed.
 * @throws UserError `command-not-found` when there is no such program.
 */
export async function measureCommand(command: readonly string[], options: MeasureOptions = {}): Promise<Measurement> {
  findProgram(command, options);
  const run = process.platform === 'linux' ? runBehindShell : runDirectly;
  try {
    return await run(command, options);
  } finally {
    options.meter?.close();
  }
}

/**
 * A shell that waits for us, runs the command, tells its exit code, and waits again: meanwhile the kernel has in the shell's
 * entries what the command and its descendants used, which is gone as soon as someone waits for the shell. Signals that
 * the terminal sends to all are the command's business. Beside the command, another shell watches us: where we are killed, it
 * finds the control channel at its end in place of a line, and ends what the first one runs, but for itself.
 */
const SHELL = `trap : INT TERM HUP QUIT
below() {
  for each in $(cat /proc/$1/task/*/children); do
    [ "$each" = "$self" ] || { echo "$each"; below "$each"; }
  done
}
watch() {
  trap "" INT TERM HUP QUIT
  read -r _ && exit
  self=$(exec sh -c 'echo $PPID')
  all=$(below $$)
  kill -TERM $all
  sleep 3
  kill -KILL $all $(below $$)
}
echo ready >&3
read -r _ <&3 || exit
watch <&3 >/dev/null 2>&1 3>&- 4>&- &
echo $! >&3
(exec "$@" 2>&4 3>&- 4>&-)
echo $? >&3
wait $!`;

async function runBehindShell(command: readonly string[], options: MeasureOptions): Promise<Measurement> {
  const [input, output, given] = stdioOf(options);
  // Above the first three, what is ignored would not even be open.
  const errors = given === 'ignore' ? openSync(devNull, 'w') : given;
  const child = spawn('/bin/sh', ['-c', SHELL, 'sh', ...command], {
    cwd: options.cwd,
    env: envOf(options, SHELL_LIFELINE),
    stdio: [input, output, 'ignore', 'pipe', errors, ...lifelineOf(options)],
  });
  if (given === 'ignore' && typeof errors === 'number') closeSync(errors);
  const control = child.stdio[3];
  if (!(control instanceof Duplex)) throw new Error('the shell has no control channel');
  const closed = closeOf(child, options, child.stdio[4]);
  const lines = createInterface({ input: control });
  // A shell that is killed may reset the connection in place of ending it.
  control.on('error', () => {
    lines.close();
  });
  letLifelineBreak(child, SHELL_LIFELINE);
  const answers = lines[Symbol.asyncIterator]();
  const { pid } = child;
  await answers.next();
  const storageBefore = pid === undefined ? undefined : storageBytes(pid);

  const energy = new Energy(options);
  await energy.start();
  const began = performance.now();
  control.write('\n');
  const watch = Number((await answers.next()).value);
  const processes = () => (pid === undefined ? [] : processTree(pid).filter((each) => each !== pid && each !== watch));
  const memory = new PeakMemory(processes);
  const stopEnding = endOnAbort(options, processes);
  // The shell's copy, before it runs the command, would drop a signal.
  const begun = () => processes().filter((each) => pid !== undefined && !isCopyOf(each, pid));
  const stopPassing = passSignals(options, begun);
  const answer = await answers.next();
  const wallSeconds = (performance.now() - began) / 1000;
  stopEnding();
  stopPassing();
  const peakRssBytes = memory.stop();
  const cpu = pid === undefined ? undefined : childSeconds(pid);
  const storage = pid === undefined ? undefined : storageBytes(pid);
  const energyRead = await energy.stop(cpu ? cpu.user + cpu.system : null);
  control.end('\n');
  await closed;
  // Without an answer the shell itself was killed, and the command's fate is unknown.
  const exitCode = answer.done ? 128 + constants.signals.SIGKILL : Number(answer.value);
  const notes = [
    ...(cpu ? [] : ['CPU seconds: /proc does not tell those of the command']),
    ...(peakRssBytes === null ? ['memory: the command ended too soon to be looked at'] : []),
    ...(storage && storageBefore ? [] : ['bytes of storage: /proc/PID/io cannot be read here']),
  ];
  return {
    command,
    exitCode,
    signal: signalOf(exitCode),
    wallSeconds,
    userSeconds: cpu?.user ?? null,
    systemSeconds: cpu?.system ?? null,
    peakRssBytes,
    readBytes: storage && storageBefore ? storage.read - storageBefore.read : null,
    writtenBytes: storage && storageBefore ? storage.written - storageBefore.written : null,
    ...energyRead,
    notes,
  };
}

/** Where there is no /proc: wall-clock and energy alone. */
async function runDirectly(command: readonly string[], options: MeasureOptions): Promise<Measurement> {
  const energy = new Energy(options);
  await energy.start();
  const began = performance.now();
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: envOf(options, DIRECT_LIFELINE),
    stdio: [...stdioOf(options), ...lifelineOf(options)],
  });
  const exited = new Promise<[number | null, NodeJS.Signals | null]>((done, fail) => {
    child.once('error', fail);
    child.once('exit', (...how) => {
      done(how);
    });
  });
  const closed = closeOf(child, options, child.stderr);
  letLifelineBreak(child, DIRECT_LIFELINE);
  const processes = () => (child.pid === undefined ? [] : [child.pid]);
  const stopEnding = endOnAbort(options, processes);
  const stopPassing = passSignals(options, processes);
  const [code, signal] = await exited;
  const wallSeconds = (performance.now() - began) / 1000;
  stopEnding();
  stopPassing();
  const energyRead = await energy.stop(null);
  await closed;
  return {
    command,
    exitCode: code ?? 128 + (signal ? constants.signals[signal] : 0),
    signal,
    wallSeconds,
    userSeconds: null,
    systemSeconds: null,
    peakRssBytes: null,
    readBytes: null,
    writtenBytes: null,
    ...energyRead,
    notes: ['CPU seconds, memory and bytes of storage are told by /proc, which Linux alone has'],
  };
}

/** Where the commands have the other end of the lifeline, behind a shell and without one. */
const SHELL_LIFELINE = 5;
const DIRECT_LIFELINE = 3;

/** A pipe that nothing is written to. Its end says that this process has ended. */
const lifelineOf = ({ endsWithUs }: MeasureOptions): 'pipe'[] => (endsWithUs ? ['pipe'] : []);

/** Whoever is killed at the other end breaks it, which is told by its exit. */
function letLifelineBreak({ stdio }: ChildProcess, descriptor: number): void {
  stdio[descriptor]?.on('error', () => undefined);
}

function envOf({ env = userEnvironment(), endsWithUs }: MeasureOptions, descriptor: number): NodeJS.ProcessEnv {
  return endsWithUs ? { ...env, [LIFELINE]: String(descriptor) } : env;
}

/** A meter that may fail without the command being any the worse. */
class Energy {
  private failed: string | undefined;

  constructor(private readonly options: MeasureOptions) {}

  async start(): Promise<void> {
    try {
      await this.options.meter?.start();
    } catch (thrown) {
      this.failed = messageOf(thrown);
    }
  }

  async stop(cpuSeconds: number | null): Promise<Pick<Measurement, 'energy' | 'energyNotMeasured'>> {
    const { meter, idle, noMeter = 'no meter was given' } = this.options;
    if (!meter || this.failed !== undefined) return { energy: null, energyNotMeasured: this.failed ?? noMeter };
    try {
      const reading = await meter.stop(cpuSeconds);
      return { energy: idle ? withIdle(reading, idle) : reading };
    } catch (thrown) {
      return { energy: null, energyNotMeasured: messageOf(thrown) };
    }
  }
}

/** How soon memory is looked at first, and how rarely at last, in milliseconds; */
const FIRST_LOOK_MS = 2;
const LOOK_EVERY_MS = 100;
/** how long a command must run, because at first it is still the shell's copy; */
const LEAST_MS = 10;
/** and how many times as long as a look the pause after it is, so that looking costs little. */
const PAUSE_AFTER_LOOK = 50;

/** The memory of all processes of a command, looked at again and again. */
class PeakMemory {
  private readonly began = performance.now();
  private peakBytes = 0;
  private pauseMs = FIRST_LOOK_MS;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly processes: () => readonly number[]) {
    this.look();
  }

  /** Bytes; null where the command was not seen for long enough. */
  stop(): number | null {
    clearTimeout(this.timer);
    return this.peakBytes > 0 && performance.now() - this.began > LEAST_MS ? this.peakBytes : null;
  }

  private look(): void {
    const from = performance.now();
    let together = 0;
    for (const each of this.processes()) {
      const memory = memoryOf(each);
      together += memory?.nowBytes ?? 0;
      this.peakBytes = Math.max(this.peakBytes, memory?.peakBytes ?? 0);
    }
    this.peakBytes = Math.max(this.peakBytes, together);
    this.pauseMs = Math.min(LOOK_EVERY_MS, this.pauseMs * 1.5);
    this.timer = setTimeout(
      () => {
        this.look();
      },
      Math.max(this.pauseMs, PAUSE_AFTER_LOOK * (performance.now() - from)),
    );
  }
}

function stdioOf({
  stdio = 'inherit',
  onLine,
}: MeasureOptions): ['inherit' | 'ignore', 'pipe' | 'ignore' | number, 'pipe' | 'ignore' | number] {
  if (onLine) return [stdio === 'ignore' ? 'ignore' : 'inherit', 'pipe', 'pipe'];
  if (stdio === 'ignore') return ['ignore', 'ignore', 'ignore'];
  return ['inherit', stdio === 'stderr' ? 2 : 1, 2];
}

/** Hands over the lines of both outputs, and waits for the end of the process and of what it prints. */
async function closeOf(child: ChildProcess, { onLine }: MeasureOptions, errors: unknown): Promise<void> {
  const exited = new Promise<void>((done) => {
    child.once('exit', () => {
      done();
    });
  });
  const read = (stream: Readable, name: 'stdout' | 'stderr') =>
    new Promise<void>((done) => {
      const lines = createInterface({ input: stream, crlfDelay: Infinity });
      lines.on('line', (line) => onLine?.(line, name));
      lines.once('close', done);
    });
  const ends = [
    ...(onLine && child.stdout ? [read(child.stdout, 'stdout')] : []),
    ...(onLine && isReadable(errors) ? [read(errors, 'stderr')] : []),
  ];
  await exited;
  // A process that was left running in the background may hold the outputs open for ever.
  const patience = new AbortController();
  await Promise.race([
    Promise.all(ends),
    sleep(LAST_LINES_MS, undefined, { signal: patience.signal }).catch(() => undefined),
  ]).finally(() => {
    patience.abort();
  });
}

/** How long what a command printed may need to arrive after its end. */
const LAST_LINES_MS = 1000;

function isReadable(stream: unknown): stream is Readable {
  return stream instanceof Duplex || stream instanceof Readable;
}

/** How long processes may need to end by themselves. */
const GRACE_MS = 3000;

/** Ends `processes` once the signal aborts. Gives what is to be called when there is nothing left to end. */
function endOnAbort({ signal, endsWithUs }: MeasureOptions, processes: () => readonly number[]): () => void {
  let timer: NodeJS.Timeout | undefined;
  const end = () => {
    sendTo(processes(), 'SIGTERM');
    timer = setTimeout(() => {
      sendTo(processes(), 'SIGKILL');
    }, GRACE_MS);
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end, { once: true });
  // At once, since what they write is removed next.
  const forget = endsWithUs ? onExit(() => sendTo(processes(), 'SIGKILL')) : undefined;
  return () => {
    forget?.();
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  };
}

/** How soon a signal is sent again that came before there was a process to have it. */
const SEND_AGAIN_MS = 5;

/** Lets `onStart` send signals to `processes`. Gives what is to be called when there is nothing left to have them. */
function passSignals({ onStart }: MeasureOptions, processes: () => readonly number[]): () => void {
  const timers = new Set<NodeJS.Timeout>();
  let isOver = false;
  const send = (name: NodeJS.Signals) => {
    if (isOver || sendTo(processes(), name)) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      send(name);
    }, SEND_AGAIN_MS);
    timers.add(timer);
  };
  onStart?.(send);
  return () => {
    isOver = true;
    for (const timer of timers) clearTimeout(timer);
  };
}

/** Whether there was a process to have the signal. */
function sendTo(processes: readonly number[], name: NodeJS.Signals): boolean {
  let isSent = false;
  for (const pid of processes) {
    try {
      process.kill(pid, name);
      isSent = true;
    } catch {
      // It has ended.
    }
  }
  return isSent;
}

const isSignal = (name: string | undefined): name is NodeJS.Signals =>
  name !== undefined && Object.hasOwn(constants.signals, name);

/** The signal that a shell's exit code stands for. */
function signalOf(exitCode: number): NodeJS.Signals | null {
  const name = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
  return isSignal(name) ? name : null;
}

/** @throws UserError `command-not-found`. */
function findProgram([program = '']: readonly string[], { cwd = '.', env = process.env }: MeasureOptions): void {
  const isPath = program.includes('/') || program.includes('\\');
  const folders = isPath ? [cwd] : (env['PATH'] ?? env['Path'] ?? '').split(delimiter);
  const endings = process.platform === 'win32' ? ['', ...(env['PATHEXT'] ?? '.EXE').split(';')] : [''];
  const isProgram = (path: string) => {
    try {
      accessSync(path, access.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  };
  const found = folders.some((folder) => endings.some((ending) => isProgram(resolve(cwd, folder, program + ending))));
  if (found && program !== '') return;
  throw new UserError(
    'command-not-found',
    isPath
      ? `${program} is no program that can be run`
      : `there is no program \`${program}\` on the path; give it with its folder`,
  );
}
