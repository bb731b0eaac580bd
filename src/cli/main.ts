#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { packageVersion } from '../artifacts/compile.js';
import { messageOf, UserError } from '../errors.js';
import { compileVerb } from './compile.js';
import { demoVerb } from './demo.js';
import { oneLine } from './terminal.js';
import { inspectVerb } from './inspect.js';
import { predictVerb } from './predict.js';
import { trainVerb } from './train.js';

/** 0: done; 1: a failure of ort-tl or of the machine; 2: something that the user can mend; 130: stopped by Ctrl-C. */
const EXIT = { failure: 1, user: 2 } as const;

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

const parser = yargs(hideBin(process.argv))
  .scriptName('ort-tl')
  .usage('$0 <command>\n\nRetrains the last layers of a pretrained ONNX image classifier on your photos.')
  .command(trainVerb)
  .command(predictVerb)
  .command(inspectVerb)
  .command(compileVerb)
  .command(demoVerb)
  .option('debug', { type: 'boolean', describe: 'show the stack trace of an error', global: true })
  .demandCommand(1, 'expected a command; see ort-tl --help')
  .recommendCommands()
  .strict()
  .check((argv) => {
    const repeated = Object.entries(argv).find(
      ([name, value]) => Array.isArray(value) && name !== '_' && name !== 'photos',
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
