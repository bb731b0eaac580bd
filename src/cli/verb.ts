import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { KnownVerb } from './otherWords.js';

/** What stands for a lone `-`, standard input, among a verb's arguments. */
export const STANDARD_INPUT = '/dev/stdin';

/** Those words of a command line that are ort-tl's own: what stands behind `--` is another command's. */
export function ownWords(given: readonly string[]): readonly string[] {
  const end = given.indexOf('--');
  return end < 0 ? given : given.slice(0, end);
}

/** The verb of a command line; undefined where there is none. */
export const verbOf = (given: readonly string[]): string | undefined =>
  ownWords(given).find((word) => !word.startsWith('-'));

/** What the file of a verb exports: its options, and what it does. */
export interface Verb<Arguments> {
  readonly builder: (yargs: Argv) => Argv<Arguments>;
  readonly handler: (args: ArgumentsCamelCase<Arguments>) => void | Promise<void>;
}

/** A command of the command line. */
export interface Command extends KnownVerb {
  /** What it does, in a line. */
  readonly describe: string;
  readonly addTo: (parser: Argv) => Argv;
}

/** A command whose file is loaded only when it is called for: ONNX Runtime and sharp take longer to load than help to print. */
export function lazily<Arguments>(
  usage: string,
  describe: string,
  load: () => Promise<{ verb: Verb<Arguments> }>,
): Command {
  return {
    usage,
    flags: async () => {
      const [{ flagsOfBuilder }, { verb }] = await Promise.all([import('./builderFlags.js'), load()]);
      return flagsOfBuilder(verb.builder);
    },
    describe,
    addTo: (parser) =>
      parser.command<Arguments>({
        command: usage,
        describe,
        builder: async (yargs) => (await load()).verb.builder(yargs),
        handler: async (args) => {
          await (await load()).verb.handler(args);
        },
      }),
  };
}
