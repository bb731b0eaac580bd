import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { type OpenOptions, settleRun, trainFlagSettings, UserError, writeFileAtomically } from '../internal.js';
import { readConfig } from './config.js';
import { settingsFileFlags } from './settingFlags.js';

/** Arguments of `ort-tl train`, by the names of the flags. */
export type FlagValues = Readonly<Record<string, unknown>>;

const FILE = 'args.yaml';
/** The flags that a settings file of `ort-tl train` may stand in for. */
export const runFlags = settingsFileFlags(trainFlagSettings);

/** Reads a settings file of `ort-tl train`. @throws UserError `bad-config`. */
export function readRunArguments(path: string): Record<string, unknown> {
  return readConfig(path, runFlags);
}

/** Where a run's folder keeps the arguments that it was begun with. */
export const argumentsFile = (folder: string): string => join(folder, FILE);

/**
 * What a run was begun with.
 * @throws UserError `bad-config`, `cannot-resume` where the folder holds no run.
 */
export function argumentsOfRun(folder: string): Record<string, unknown> {
  settleRun(folder);
  if (!existsSync(argumentsFile(folder)))
    throw new UserError('cannot-resume', `${folder} holds no run: there is no ${FILE} in it (‹resume›)`);
  return readRunArguments(argumentsFile(folder));
}

/** What a run began with: its model and its photos, and how these were opened; what it does not say is left out. */
export interface RunBeginning {
  /** What names it from any folder: a path, or a network's name. */
  readonly model?: string;
  readonly data?: string;
  readonly open: OpenOptions;
}

/** What a run says it began with, as far as it says it. @throws UserError `bad-config`. */
export function beginningOfRun(folder: string): RunBeginning {
  settleRun(folder);
  const given = existsSync(argumentsFile(folder)) ? readRunArguments(argumentsFile(folder)) : {};
  const { model, data } = given;
  const amount = (key: keyof OpenOptions, flag: string): OpenOptions =>
    typeof given[flag] === 'number' ? { [key]: given[flag] } : {};
  return {
    ...(typeof model === 'string' ? { model } : {}),
    ...(typeof data === 'string' ? { data } : {}),
    open: {
      ...(given['task'] === 'classes' || given['task'] === 'labels' ? { task: given['task'] } : {}),
      ...amount('valFraction', 'val-fraction'),
      ...amount('seed', 'seed'),
      ...amount('limit', 'limit'),
      ...amount('valLimit', 'val-limit'),
    },
  };
}

/** Writes what repeats the run: `ort-tl train --config args.yaml`. `given.model` names it from any folder. */
export async function writeRunArguments(out: string, given: FlagValues): Promise<void> {
  const kept = Object.fromEntries(
    runFlags.known.flatMap((flag) => {
      const value = given[flag];
      if (value === undefined) return [];
      return [[flag, flag === 'data' && typeof value === 'string' ? resolve(value) : value]];
    }),
  );
  await writeFileAtomically(argumentsFile(out), stringify(kept));
}
