#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { messageOf, UserError } from '../errors.js';
import { packageVersion } from '../version.js';
import { oneLine } from './terminal.js';
import { lazily, STANDARD_INPUT } from './verb.js';

/**
 * 0: done; 1: a failure of ort-tl or of the machine; 2: something that the user can mend; 130: stopped by Ctrl-C; 141: whoever
 * read the output has closed it, as `head` does (what a shell tells of a program that SIGPIPE ended).
 */
const EXIT = { failure: 1, user: 2, pipeClosed: 141 } as const;

const debug = process.argv.includes('--debug');

function fail(thrown: unknown): never {
  const isUserError = thrown instanceof UserError;
  if (debug) console.error(thrown);
  else if (isUserError) console.error(`ort-tl: ${oneLine(messageOf(thrown))}`);
  else
    console.error(
      `ort-tl: something broke that should not: ${oneLine(messageOf(thrown))} (run again with --debug for the details)`,
    );
  process.exit(isUserError ? EXIT.user : EXIT.failure);
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.pipeClosed);
    throw error;
  });
}

// As one of several photos, yargs would lose a lone dash.
const words = hideBin(process.argv).map((word) => (word === '-' ? STANDARD_INPUT : word));
const parser = yargs(words)
  .scriptName('ort-tl')
  .usage('$0 <command>\n\nRetrains the last layers of a pretrained ONNX image classifier on your photos.')
  .command(lazily('train', 'train the chosen layers on a folder of photos', () => import('./train.js')))
  .command(lazily('predict [photos..]', 'classify photos with an exported model', () => import('./predict.js')))
  .command(lazily('eval', 'measure an exported model on photos with known classes', () => import('./eval.js')))
  .command(
    lazily('explain [photos..]', 'show where in a photo an exported model saw a class', () => import('./explain.js')),
  )
  .command(
    lazily('inspect <model>', 'show the layers of a model, and what a policy would cost', () => import('./inspect.js')),
  )
  .command(lazily('compile', 'write training artifacts for a model and a policy', () => import('./compile.js')))
  .command(
    lazily('cache <action> [names..]', 'list, remove or prune cached features of photos', () => import('./cache.js')),
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
      ([name, value]) => Array.isArray(value) && name !== '_' && !['photos', 'names'].includes(name),
    );
    if (repeated) throw new UserError('bad-arguments', `--${repeated[0]} is given more than once`);
    return true;
  })
  .version(packageVersion)
  .epilogue('Exit codes: 0 done, 1 failure, 2 an error that you can mend, 130 stopped.')
  .wrap(Math.min(110, process.stdout.columns || 110))
  .exitProcess(false)
  .fail((message: string | null, thrown: Error | undefined) => {
    throw thrown ?? new UserError('bad-arguments', message ?? 'the arguments do not fit');
  });

try {
  await parser.parseAsync();
} catch (thrown) {
  fail(thrown);
}
