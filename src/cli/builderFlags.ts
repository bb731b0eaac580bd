import yargs from 'yargs';
import { z } from 'zod';
import type { VerbFlags } from './otherWords.js';
import type { Verb } from './verb.js';

/** What yargs keeps of the options that were added; its types do not know of it. */
const OPTIONS = z.object({
  key: z.record(z.string(), z.unknown()),
  boolean: z.array(z.string()),
  array: z.array(z.string()),
});

/** The flags that the builder of a verb adds. */
export function flagsOfBuilder<Arguments>(build: Verb<Arguments>['builder']): VerbFlags {
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
