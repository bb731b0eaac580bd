import { join } from 'node:path';

/** What a user asks of Slurm. */
export interface SlurmAsked {
  /** How many nodes work at a time, at most. */
  readonly nodes?: number | undefined;
  readonly partition?: string | undefined;
  /** As `sbatch --time` takes it. */
  readonly time?: string | undefined;
  /** Further flags of sbatch, as they are. */
  readonly sbatch: readonly string[];
}

export interface SlurmJob {
  /** Of the suite. */
  readonly name: string;
  /** Absolute: on a folder that all nodes share. */
  readonly out: string;
  /** Where the command was called. */
  readonly cwd: string;
  /** How many parts there are. */
  readonly count: number;
  /** `ort-tl bench` with the suite and its flags, word by word; without the part and the folder. */
  readonly command: readonly string[];
  readonly asked: SlurmAsked;
}

/** Where the parts lie, and what their tasks print. */
export const shardsIn = (out: string): string => join(out, 'shards');
export const shardIn = (out: string, index: number): string => join(shardsIn(out), String(index));
export const logOf = (out: string, index: number): string => join(shardsIn(out), `${index}.log`);

/** Who asks for processors asks for a part of a node. */
const PART_OF_NODE = /^(-c|--cpus-per-task|--exclusive|-s|--oversubscribe|-n|--ntasks)(=|\d|\s|$)/;
const MEMORY = /^--mem(-per-\w+)?(=|\s|$)/;

/** The script of an array of which each task runs one part of a suite. */
export function jobScript({ name, out, cwd, count, command, asked }: SlurmJob): string {
  const given = (pattern: RegExp) => asked.sbatch.some((flag) => pattern.test(flag));
  const isWhole = !given(PART_OF_NODE);
  const flags = [
    `--job-name=ort-tl-${name}`,
    `--array=${arrayOf({ first: 1, last: count }, asked)}`,
    `--output=${logOf(out.replaceAll('%', '%%'), 0).replace(/0\.log$/, '%a.log')}`,
    '--open-mode=append',
    '--requeue',
    '--nodes=1',
    // What is measured is the node's alone.
    ...(isWhole ? ['--exclusive'] : []),
    ...(isWhole && !given(MEMORY) ? ['--mem=0'] : []),
    ...(asked.partition === undefined ? [] : [`--partition=${asked.partition}`]),
    ...(asked.time === undefined ? [] : [`--time=${asked.time}`]),
    ...asked.sbatch,
  ];
  const words = command.map(quoted).join(' ');
  return `#!/bin/bash
# The suite ${name} in ${count} parts: each task of the array runs one, and ort-tl joins them when all have ended.
${flags.map((flag) => `#SBATCH ${/\s/.test(flag) ? flag.replace(/=(.*)$/s, '="$1"') : flag}`).join('\n')}

# Paths are those of the machine on which this was written: all nodes have to share them.
cd ${quoted(cwd)} || exit
exec ${words} \\
  --shard "$SLURM_ARRAY_TASK_ID/${count}" --out ${quoted(shardsIn(out))}/"$SLURM_ARRAY_TASK_ID"
`;
}

/** Tasks of an array as `sbatch --array` takes them. */
export function arrayOf(
  tasks: readonly number[] | { readonly first: number; readonly last: number },
  { nodes }: SlurmAsked,
): string {
  const listed = 'first' in tasks ? `${tasks.first}-${tasks.last}` : tasks.join(',');
  return nodes === undefined ? listed : `${listed}%${nodes}`;
}

/** A word as a shell takes it for one. */
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
