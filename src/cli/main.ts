#!/usr/bin/env node
import { inspect } from 'node:util';
import { messageOf, UserError } from '../errors.js';
import { fileErrorCode, fileReason } from '../files.js';
import { watchLifeline } from '../lifeline.js';
import { machineErrorOf } from '../machineError.js';
import { visibleLines } from '../text.js';
import { packageVersion } from '../version.js';
import { endAtOnce, listenToSignals } from './interruption.js';
import { supervise } from './supervision.js';
import { closeLine, coloured, oneLine } from './terminal.js';
import { lazily, STANDARD_INPUT } from './verb.js';
import { inOurWords } from './wording.js';

/**
 * 0: done; 1: a failure of ort-tl or of the machine; 2: something that the user can mend; 130: stopped by Ctrl-C; 141: nobody reads
 * the output any more, as after SIGPIPE; 143: stopped by SIGTERM. `measure` exits as the command does that it ran.
 */
const EXIT = { failure: 1, user: 2 } as const;

/** Of Node.js, for a top-level await that waits for nothing. */
const UNANSWERED = 13;

const given = process.argv.slice(2);
const end = given.indexOf('--');
const own = end < 0 ? given : given.slice(0, end);
const debug = own.includes('--debug');

function fail(thrown: unknown): never {
  const machine = machineErrorOf(thrown);
  const isUserError = thrown instanceof UserError && !machine;
  const reason = messageOf(machine ?? thrown);
  // What broke may be told in several lines.
  const message = oneLine(isUserError ? reason : reason.replaceAll(/\s*\n\s*/g, ' '));
  const line =
    isUserError || machine
      ? `ort-tl: ${message}`
      : `ort-tl: something broke that should not: ${message} (run again with --debug for the details)`;
  closeLine();
  if (debug) console.error(visibleLines(inspect(thrown)));
  else console.error(coloured(line, 'red', process.stderr));
  process.exit(isUserError ? EXIT.user : EXIT.failure);
}

process.stdout.on('error', (cause) => {
  // Who read it has enough, such as `head`.
  if (fileErrorCode(cause) === 'EPIPE') endAtOnce('SIGPIPE');
  fail(new UserError('write-failed', `cannot write the result: ${fileReason(cause)}; free some space`, { cause }));
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

const verb = own.find((word) => !word.startsWith('-'));
await supervise(fail, verb).catch(fail);
listenToSignals();
// A suite that was killed is not there to end its training.
watchLifeline(() => endAtOnce('SIGTERM'));

// Not earlier: it opens several files at once, which may be more than this process may.
const { default: yargs } = await import('yargs').catch(fail);

// What stands behind the dashes is a command with flags of its own, which the verb reads by itself.
const isMeasure = verb === 'measure';
const words = (isMeasure ? own : given).flatMap((word, index) => {
  if (end >= 0 && index >= end) return index === end ? [] : [word.startsWith('-') ? `./${word}` : word];
  // As one of several photos, yargs would lose a lone dash.
  return [word === '-' ? STANDARD_INPUT : word];
});
/** What may be given more than once. */
const LISTS = ['photos', 'names', 'runs'];
const BENCH_LISTS = ['model', 'data'];
const parser = yargs(words)
  .scriptName('ort-tl')
  .usage('$0 <command>\n\nRetrains the last layers of a pretrained ONNX image classifier on your photos.')
  .command(lazily('train', 'train the chosen layers on a folder of photos', () => import('./train.js')))
  .command(lazily('recommend', 'find how many layers are worth training', () => import('./recommend.js')))
  .command(lazily('predict [photos..]', 'classify photos with an exported model', () => import('./predict.js')))
  .command(lazily('eval', 'measure an exported model on photos with known classes', () => import('./eval.js')))
  .command(
    lazily('explain [photos..]', 'show where in a photo an exported model saw a class', () => import('./explain.js')),
  )
  .command(
    lazily('inspect <model>', 'show the layers of a model, and what a policy would cost', () => import('./inspect.js')),
  )
  .command(lazily('compile', 'write training artifacts for a model and a policy', () => import('./compile.js')))
  .command(lazily('compare <runs..>', 'set runs side by side, over seeds', () => import('./compare.js')))
  .command(
    lazily('export <run>', 'write what a run has learned as a model, or as a delta', () => import('./export.js')),
  )
  .command(lazily('apply', 'make a tuned model of a pretrained one and a delta', () => import('./apply.js')))
  .command(
    lazily(
      'import-checkpoint <checkpoint>',
      "export what ONNX Runtime's on-device training has learned",
      () => import('./importCheckpoint.js'),
    ),
  )
  .command(
    lazily('cache <action> [names..]', 'list, remove or prune cached features of photos', () => import('./cache.js')),
  )
  .command(
    lazily('measure', 'run a command, and tell what it cost in time, memory and energy', () => import('./measure.js')),
  )
  .command(
    lazily(
      'bench <suite>',
      'run a suite of trainings, and write a report of what each policy gives and costs',
      () => import('./bench.js'),
    ),
  )
  .command(
    lazily(
      'doctor',
      'tell what this machine offers: versions, providers, threads, energy meters',
      () => import('./doctor.js'),
    ),
  )
  .command(
    lazily('demo', 'train the embedded model on drawn pictures: no other file, no network', () => import('./demo.js')),
  )
  .completion('completion', 'print a script that completes commands and flags in bash or zsh')
  .option('debug', { type: 'boolean', describe: 'show the stack trace of an error', global: true })
  .demandCommand(1, 'expected a command; see ort-tl --help')
  .recommendCommands()
  .strict()
  .check((argv) => {
    const repeated = Object.entries(argv).find(
      ([name, value]) =>
        Array.isArray(value) && name !== '_' && !(argv._[0] === 'bench' ? BENCH_LISTS : LISTS).includes(name),
    );
    if (repeated) throw new UserError('bad-arguments', `--${repeated[0]} is given more than once`);
    const empty = Object.entries(argv).find(([name, value]) => value === '' && name !== '$0');
    if (empty) throw new UserError('bad-arguments', `expected a value after --${empty[0]}, got nothing`);
    for (const word of words) {
      const [, name = '', value] = /^--([^=]+)=(.*)$/.exec(word) ?? [];
      if (typeof argv[name] === 'boolean' && value !== 'true' && value !== 'false')
        throw new UserError('bad-arguments', `expected true or false, got \`${value ?? ''}\` (--${name})`);
    }
    return true;
  })
  .version(packageVersion)
  .epilogue('Exit codes: 0 done, 1 failure, 2 an error that you can mend, 130 or 143 stopped.')
  // Yargs lays the help of every command out, asked for or not.
  .wrap(own.includes('--help') ? Math.min(110, process.stdout.columns || 110) : null)
  .exitProcess(false)
  .fail((message: string | null, thrown: Error | undefined) => {
    throw thrown ?? new UserError('bad-arguments', inOurWords(message ?? 'the arguments do not fit'));
  });

try {
  await parser.parseAsync();
} catch (thrown) {
  // Flags that yargs cannot even part pass by `fail`.
  const isOfYargs = thrown instanceof Error && thrown.name === 'YError';
  fail(isOfYargs ? new UserError('bad-arguments', inOurWords(thrown.message)) : thrown);
}
