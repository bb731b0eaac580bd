import type { Argv, Options } from 'yargs';
import { type Flag, flagsOf, type SchemaShape } from '../internal.js';
import { inFlags } from './wording.js';

/** Adds a flag for each setting of `shape`; `more` stands behind the help of some, by their flags. */
export function withSettings<T>(
  yargs: Argv<T>,
  shape: SchemaShape,
  more: Readonly<Record<string, string>> = {},
): Argv<T> {
  for (const each of flagsOf(shape))
    yargs.option(each.flag, { ...optionOf(each), describe: `${inFlags(each.help)}${more[each.flag] ?? ''}` });
  return yargs;
}

function optionOf({ kind, group, mayBeBare, default: value }: Flag): Options {
  return {
    ...kind,
    ...(kind.type === 'boolean' || mayBeBare ? {} : { requiresArg: true }),
    ...(group === undefined ? {} : { group: `${group}:` }),
    // What is a list has no word that says that it is empty.
    ...(typeof value === 'object' || value === undefined ? {} : { default: value }),
  };
}

/** The flags that a settings file may stand in for. */
export interface SettingsFileFlags {
  readonly known: readonly string[];
  /** Those that are true or false. */
  readonly switches: readonly string[];
  /** Those that false does without. */
  readonly optional: readonly string[];
}

export function settingsFileFlags(shape: SchemaShape): SettingsFileFlags {
  const flags = flagsOf(shape);
  return {
    known: ['model', 'data', ...flags.map(({ flag }) => flag)],
    switches: flags.flatMap(({ flag, kind }) => (kind.type === 'boolean' ? [flag] : [])),
    optional: flags.flatMap(({ flag, isOptional }) => (isOptional ? [flag] : [])),
  };
}
