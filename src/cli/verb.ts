import type { ArgumentsCamelCase, Argv } from 'yargs';
import { z } from 'zod';
import type { KnownVerb, VerbFlags } from './otherWords.js';

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
    flags: async () => flagsOfBuilder((await load()).verb.builder),
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

/** What yargs keeps of the options that were added; its types do not know of it. */
const OPTIONS = z.object({
  key: z.record(z.string(), z.unknown()),
  boolean: z.array(z.string()),
  array: z.array(z.string()),
});

async function flagsOfBuilder<Arguments>(build: Verb<Arguments>['builder']): Promise<VerbFlags> {
  const { default: yargs } = await import('yargs');
  const parser = build(yargs([]));
  const getOptions: unknown = Reflect.get(parser, 'getOptions');
  const { key, boolean, array } = OPTIONS.parse(
    typeof getOptions === 'function' ? Reflect.apply(getOptions, parser, []) : undefined,
  );
  return {
    names: new Set([...Object.keys(key), 'debug']),
    switches: new Set([...boolean, 'debug']),
    lists: new Set(array),
  };
}
