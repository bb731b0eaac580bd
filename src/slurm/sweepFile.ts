import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { MOST_BYTES, readRegularFileSync, writeFileAtomically } from '../files.js';

const schema = z.object({
  /** To be raised when the file has to be read in another way. */
  format: z.literal(1),
  /** A hash of the suite as it was read, and of the flags. */
  suite: z.string(),
  count: z.number().int().positive(),
  /** The arrays that were submitted, the latest last, with their tasks. */
  jobs: z.array(z.object({ id: z.string(), tasks: z.array(z.number().int().positive()), at: z.string() })),
  /** How often each task was submitted again, by its index. */
  again: z.record(z.string(), z.number()),
  /** Whether nothing of it is watched any more: all has ended, or was cancelled. */
  hasEnded: z.boolean(),
});
/** How far a sweep on Slurm is: what the same command goes on with. */
export type SweepFile = z.infer<typeof schema>;

const pathIn = (out: string): string => join(out, 'slurm.json');

/** @throws UserError `bad-shard` for a file that cannot be read. */
export function readSweep(out: string): SweepFile | undefined {
  const path = pathIn(out);
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readRegularFileSync(path, MOST_BYTES.record).toString('utf8')));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? 'it is of another form' : messageOf(cause);
    throw new UserError('bad-shard', `cannot read ${path}: ${reason}; remove it, and the array is submitted again`, {
      cause,
    });
  }
}

/** @throws UserError `write-failed`. */
export const writeSweep = (out: string, file: SweepFile): Promise<void> =>
  writeFileAtomically(pathIn(out), `${JSON.stringify(file, null, 2)}\n`);
