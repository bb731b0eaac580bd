import yargs from 'yargs';
import { UserError } from '../errors.js';
import { inOurTerms } from './otherWords.js';
import { packageVersion } from '../version.js';
import { lazily, ownWords, STANDARD_INPUT, verbOf } from './verb.js';
import { inOurWords } from './wording.js';

/** In the order of the help. */
const COMMANDS = [
  lazily('train', 'train the chosen layers on a folder of photos', () => import('./train.js')),
  lazily('data <path>', 'show what photos there are, and what is wrong with them', () => import('./data.js')),
  lazily('recommend', 'find how many layers are worth training', () => import('./recommend.js')),
  lazily('predict [photos..]', 'classify photos with an exported model', () => import('./predict.js')),
  lazily('eval', 'measure an exported model on photos with known classes', () => import('./eval.js')),
  lazily('explain [photos..]', 'show where in a photo an exported model saw a class', () => import('./explain.js')),
  lazily('inspect [model]', 'show the layers of a model, and what a policy would cost', () => import('./inspect.js')),
  lazily('compile', 'write training artifacts for a model and a policy', () => import('./compile.js')),
  lazily('compare <runs..>', 'set runs side by side, over seeds', () => import('./compare.js')),
  lazily('export <run>', 'write what a run has learned as a model, or as a delta', () => import('./export.js')),
  lazily('apply', 'make a tuned model of a pretrained one and a delta', () => import('./apply.js')),
  lazily(
    'import-checkpoint <checkpoint>',
    "export what ONNX Runtime's on-device training has learned",
    () => import('./importCheckpoint.js'),
  ),
  lazily('cache <action> [names..]', 'list, remove or prune cached features of photos', () => import('./cache.js')),
  lazily(
    'models <action> [names..]',
    'list, load, find or remove networks that have a name',
    () => import('./models.js'),
  ),
  lazily('measure', 'run a command, and tell what it cost in time, memory and energy', () => import('./measure.js')),
  lazily(
    'bench <suite>',
    'run a suite of trainings, and write a report of what each policy gives and costs',
    () => import('./bench.js'),
  ),
  lazily(
    'doctor',
    'tell what this machine offers: versions, providers, threads, energy meters',
    () => import('./doctor.js'),
  ),
  lazily('demo', 'train the embedded model on drawn pictures: no other file, no network', () => import('./demo.js')),
];

/** What may be given more than once. */
const LISTS = ['photos', 'names', 'runs'];
const BENCH_LISTS = ['model', 'data'];
/** Flags that may stand without a value. */
const BARE = ['head'];

/**
 * Runs the command that `words`, those of a command line, ask for.
 * @throws UserError for words that make no sense, and what the verb throws.
 */
export async function runCommand(words: readonly string[]): Promise<void> {
  const given = await inOurTerms(words, COMMANDS);
  // Verbs look there which flags were given.
  if (given.join('\0') !== words.join('\0')) process.argv.splice(2, Infinity, ...given);
  const own = ownWords(given);
  const end = given.indexOf('--');
  // What stands behind the dashes is a command with flags of its own, which the verb reads by itself.
  const verb = verbOf(given);
  const isMeasure = verb === 'measure';
  const usage = COMMANDS.find((each) => each.usage.split(' ')[0] === verb)?.usage;
  const parsed = (isMeasure ? own : given).flatMap((word, index) => {
    if (end >= 0 && index >= end) return index === end ? [] : [word.startsWith('-') ? `./${word}` : word];
    // Yargs would lose a lone dash among several photos.
    return [word === '-' ? STANDARD_INPUT : word];
  });
  const beginning = yargs(parsed)
    .scriptName('ort-tl')
    .usage('$0 <command>\n\nRetrains the last layers of a pretrained ONNX image classifier on your photos.');
  const parser = COMMANDS.reduce((before, { addTo }) => addTo(before), beginning)
    .completion('completion', 'print a script that completes commands and flags in bash or zsh')
    .option('debug', { type: 'boolean', describe: 'show the stack trace of an error', global: true })
    .demandCommand(1, 'expected a command; see ort-tl --help')
    .strict()
    .middleware((argv) => {
      // What is no number is refused as what was typed.
      for (const [name, value] of Object.entries(argv))
        if (Number.isNaN(value)) argv[name] = typedAfter(name, parsed) ?? value;
    }, true)
    .check((argv) => {
      const repeated = Object.entries(argv).find(
        ([name, value]) =>
          Array.isArray(value) && name !== '_' && !(argv._[0] === 'bench' ? BENCH_LISTS : LISTS).includes(name),
      );
      if (repeated) throw new UserError('bad-arguments', `--${repeated[0]} is given more than once`);
      const empty = Object.entries(argv).find(([name, value]) => value === '' && name !== '$0' && !BARE.includes(name));
      if (empty) throw new UserError('bad-arguments', `expected a value after --${empty[0]}, got nothing`);
      for (const word of parsed) {
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
      throw thrown ?? new UserError('bad-arguments', inOurWords(message ?? 'the arguments do not fit', usage));
    });
  try {
    await parser.parseAsync();
  } catch (thrown) {
    // Flags that yargs cannot even part pass by `fail`.
    const isOfYargs = thrown instanceof Error && thrown.name === 'YError';
    throw isOfYargs ? new UserError('bad-arguments', inOurWords(thrown.message, usage)) : thrown;
  }
}

/** The word that was given for a flag, by itself or behind `=`; a name in camel case is that of the same flag. */
function typedAfter(name: string, words: readonly string[]): string | undefined {
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const at = words.indexOf(flag);
  return at < 0 ? words.find((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1) : words[at + 1];
}
