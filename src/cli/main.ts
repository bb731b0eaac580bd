import { inspect } from 'node:util';
import { MachineError, messageOf, UserError } from '../errors.js';
import { fileErrorCode, fileReason } from '../files.js';
import { LIFELINE, watchLifeline } from '../lifeline.js';
import { machineErrorOf } from '../machineError.js';
import { visibleLines } from '../text.js';
import { endAtOnce, endSoon, listenToSignals } from './interruption.js';
import { supervise } from './supervision.js';
import { closeLine, coloured, oneLine } from './terminal.js';
import { ownWords, verbOf } from './verb.js';
import { inFlags } from './wording.js';

/**
 * 0: done; 1: a failure of ort-tl or of the machine; 2: something that the user can mend; 130: stopped by Ctrl-C; 141: nobody reads
 * the output any more, as after SIGPIPE; 143: stopped by SIGTERM. `measure` exits as the command does that it ran.
 */
const EXIT = { failure: 1, user: 2, terminated: 143 } as const;

/** Node.js's exit code for a top-level await that waits for nothing. */
const UNANSWERED = 13;

const given = process.argv.slice(2);
const debug = ownWords(given).includes('--debug');

/** Tells what was thrown, and gives the exit code for it. */
function report(thrown: unknown): number {
  const machine = machineErrorOf(thrown);
  const isUserError = thrown instanceof UserError && !machine;
  const told = machine ?? thrown;
  const reason = told instanceof UserError || told instanceof MachineError ? inFlags(told.text) : messageOf(told);
  // What broke may be told in several lines.
  const message = oneLine(isUserError ? reason : reason.replaceAll(/\s*\n\s*/g, ' '));
  const line =
    isUserError || machine
      ? `ort-tl: ${message}`
      : `ort-tl: something broke that should not: ${message} (run again with --debug for the details)`;
  closeLine();
  if (debug) console.error(visibleLines(inspect(thrown)));
  else console.error(coloured(line, 'red', process.stderr));
  return isUserError ? EXIT.user : EXIT.failure;
}

function fail(thrown: unknown): never {
  process.exit(report(thrown));
}

/** A pipe's end and the lifeline's are told of within a moment. */
const ALONE_MS = 500;
const hasLifeline = process.env[LIFELINE] !== undefined;
/** Whether the process that started this one has ended. */
let isAlone = false;

let canWrite = true;
process.stdout.on('error', (cause) => {
  // Who read it has enough, such as `head`.
  if (fileErrorCode(cause) === 'EPIPE') {
    if (!hasLifeline) endAtOnce('SIGPIPE');
    // Unless it was whoever started this, who has been killed: then it saves.
    setTimeout(() => {
      if (!isAlone) endAtOnce('SIGPIPE');
    }, ALONE_MS);
    return;
  }
  // Each line that the verb prints while it ends fails as well.
  if (!canWrite) return;
  canWrite = false;
  const reason = `cannot write the result: ${fileReason(cause)}; free some space`;
  const exitCode = report(new UserError('write-failed', reason, { cause }));
  if (!endSoon(exitCode)) process.exit(exitCode);
});
// What no verb waits for, such as a process that cannot be started.
process.on('uncaughtException', fail);
// What Node.js ends with where nothing is left that could ever answer.
process.on('exit', (code) => {
  // Node.js sets the exit code on the way here; who ends at once has given another one.
  if (code !== 0 || process.exitCode !== UNANSWERED) return;
  process.exitCode = EXIT.failure;
  closeLine();
  console.error('ort-tl: something broke that should not: a part of the work has ended without an answer');
});
// There is nowhere left to say so.
process.stderr.on('error', () => undefined);

await supervise(fail, verbOf(given)).catch(fail);
listenToSignals();
// A suite or a studio that was killed is not there to end its training, which saves as at a signal.
watchLifeline(() => {
  isAlone = true;
  if (!endSoon(EXIT.terminated)) endAtOnce('SIGTERM');
});

// Not earlier: it opens several files at once, which may be more than this process may.
const { runCommand } = await import('./commands.js').catch(fail);
await runCommand(given).catch(fail);
