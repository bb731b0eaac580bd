import { UserError } from '../errors.js';
import { COMMANDS } from './commandList.js';
import { inOurTerms } from './otherWords.js';
import { ABOUT, COMPLETION, EXIT_CODES, overview } from './overview.js';
import { packageVersion } from '../version.js';
import { ownWords, STANDARD_INPUT, verbOf } from './verb.js';
import { inOurWords } from './wording.js';

/** What may be given more than once. */
const LISTS = ['photos', 'names', 'runs'];
const BENCH_LISTS = ['model', 'data', 'folders', 'sbatch'];
/** Characters of a line of help. */
const WIDEST = 110;
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
  const width = Math.min(WIDEST, process.stdout.columns || WIDEST);
  if (given.length === 1 && (given[0] === '--help' || given[0] === '--version')) {
    console.log(given[0] === '--help' ? overview(COMMANDS, width) : packageVersion);
    return;
  }
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
  // It takes longer to load than the overview to print.
  const { default: yargs } = await import('yargs');
  const beginning = yargs(parsed).scriptName('ort-tl').usage(`$0 <command>\n\n${ABOUT}`);
  const parser = COMMANDS.reduce((before, { addTo }) => addTo(before), beginning)
    .completion('completion', COMPLETION)
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
    .epilogue(EXIT_CODES)
    // Yargs lays the help of every command out, asked for or not.
    .wrap(own.includes('--help') ? width : null)
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
