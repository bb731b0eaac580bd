import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { MachineError } from '../errors.js';
import { LIFELINE } from '../lifeline.js';
import { machineError } from '../machineError.js';
import { type MemoryLimit, memoryLimit } from '../memoryLimit.js';
import { killItself } from './interruption.js';
import { guardMemory, megabytes } from './memoryGuard.js';

/** Who may take more is mostly told in time that it is not enough (see {@link guardMemory}), and ends by itself. */
const LITTLE_BYTES = 2e9;
/** The variable that tells a process that it is supervised. */
const SUPERVISED = 'ORT_TL_SUPERVISED';
/** Where the command has the other end of the lifeline. */
const DESCRIPTOR = 3;
/** Makes the kernel choose a process before all others of its control group (proc_pid_oom_score_adj(5)). */
const FIRST_TO_GO = '1000';

/** Whatever ends this process. */
type Tell = (error: MachineError) => never;

/**
 * Sees to it that a command which takes more memory than its control group may have ends with a line that says so. Where that is little, the
 * command runs in a process of its own, and this one, which takes little and computes nothing, ends as that does: the kernel ends a
 * process without a word, and one whose worker computes cannot end by itself at once. The promise is not kept then: the process ends.
 * Elsewhere the command runs here. What `measure` runs is another's business, which may take what it can get. `root` is the root of the
 * file system.
 */
export async function supervise(tell: Tell, verb?: string, root = '/'): Promise<void> {
  const isSupervised = process.env[SUPERVISED] !== undefined;
  // It is nobody else's that this process starts.
  Reflect.deleteProperty(process.env, SUPERVISED);
  if (isSupervised) goFirst();
  const limit = isSupervised || verb === 'measure' ? undefined : memoryLimit(root);
  if (!limit) return;
  // Whoever gave it a lifeline looks after it.
  const runsHere = limit.bytes >= LITTLE_BYTES || process.env[LIFELINE] !== undefined;
  if (runsHere) guardMemory(limit, tell);
  else await runSupervised(limit, tell, verb);
}

/** Where memory runs out, this process is ended, not the one that tells of it. */
function goFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', FIRST_TO_GO);
  } catch {
    // It takes the most anyhow.
  }
}

function runSupervised(limit: MemoryLimit, tell: Tell, verb: string | undefined): Promise<never> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    // A terminal's signals come to this process alone, so that the command has each of them once.
    detached: true,
    env: { ...process.env, [SUPERVISED]: '1', [LIFELINE]: String(DESCRIPTOR) },
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  });
  // A command that is killed may break it, which is told by its exit.
  child.stdio[DESCRIPTOR]?.on('error', () => undefined);
  passSignals(child);
  // The trainings of a suite each look at what is taken: one that takes too much ends, and the suite goes on with the next.
  if (verb !== 'bench')
    guardMemory(limit, (error) => {
      sendToAll(child, 'SIGKILL');
      tell(error);
    });
  return new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code !== null) process.exit(code);
      if (signal === 'SIGKILL') {
        sendToAll(child, signal);
        tell(
          machineError(
            'out-of-memory',
            `the command was killed, probably for lack of memory: this container or control group may have ${megabytes(limit.bytes)}`,
          ),
        );
      }
      killItself(signal ?? 'SIGTERM');
    });
  });
}

function passSignals(child: ChildProcess): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGWINCH'] as const) process.on(name, () => child.kill(name));
  // Ctrl-Z stops all, and `fg` lets all go on.
  process.on('SIGTSTP', () => {
    sendToAll(child, 'SIGSTOP');
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => {
    sendToAll(child, 'SIGCONT');
  });
}

/** Sends a signal to the command and to what it has started. */
function sendToAll({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // They have all ended.
  }
}
