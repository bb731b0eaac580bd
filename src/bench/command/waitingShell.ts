import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { createInterface } from 'node:readline';
import { Duplex } from 'node:stream';
import { envOf, letLifelineBreak, lifelineOf } from './childLifeline.js';
import { closeOf, stdioOf } from './commandStreams.js';
import type { MeasureOptions } from './measurement.js';

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

/** Where the shell has the control channel, the command's errors, and the other end of the lifeline. */
const CONTROL_AT = 3;
const ERRORS_AT = 4;
const LIFELINE_AT = 5;

/** A shell that runs a command when it is told to, and does not end before it is told to. */
export class WaitingShell {
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string, undefined>;
  private readonly closed: Promise<void>;
  private readonly control: Duplex;

  /** Starts the shell, which says that it is ready before anything else. */
  constructor(command: readonly string[], options: MeasureOptions) {
    this.child = startShell(command, options);
    const control = this.child.stdio[CONTROL_AT];
    if (!(control instanceof Duplex)) throw new Error('the shell has no control channel');
    this.control = control;
    this.closed = closeOf(this.child, options, this.child.stdio[ERRORS_AT]);
    const lines = createInterface({ input: control });
    // A shell that is killed may reset the connection in place of ending it.
    control.on('error', () => {
      lines.close();
    });
    letLifelineBreak(this.child, LIFELINE_AT);
    this.answers = lines[Symbol.asyncIterator]();
  }

  /** Undefined where it could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Its next line; undefined once it was killed. */
  async answer(): Promise<string | undefined> {
    const { done, value } = await this.answers.next();
    return done ? undefined : value;
  }

  /** Has it run the command. */
  run(): void {
    this.control.write('\n');
  }

  /** Has it end, and waits for that. */
  async end(): Promise<void> {
    this.control.end('\n');
    await this.closed;
  }
}

function startShell(command: readonly string[], options: MeasureOptions): ChildProcess {
  const [input, output, given] = stdioOf(options);
  // Above the first three, what is ignored would not even be open.
  const errors = given === 'ignore' ? openSync(devNull, 'w') : given;
  const child = spawn('/bin/sh', ['-c', SHELL, 'sh', ...command], {
    cwd: options.cwd,
    env: envOf(options, LIFELINE_AT),
    stdio: [input, output, 'ignore', 'pipe', errors, ...lifelineOf(options)],
  });
  if (given === 'ignore' && typeof errors === 'number') closeSync(errors);
  return child;
}
