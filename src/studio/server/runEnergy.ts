import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../files.js';
import { findMeter, type MeterOptions } from '../../index.js';

const FILE = 'energy.json';
const schema = z.object({ grossJ: z.number().nonnegative(), sources: z.array(z.string()) });
export type RunEnergy = z.infer<typeof schema>;

/** Begins to measure what the whole machine draws; undefined where nothing here measures it. It is never estimated. */
export async function startEnergy(
  options: MeterOptions = { energy: 'auto' },
): Promise<{ stop(): Promise<RunEnergy | undefined> } | undefined> {
  try {
    const access = await findMeter(options);
    if (access.kind === 'none') return undefined;
    const meter = access.open();
    await meter.start();
    return {
      stop: () =>
        meter.stop().then(
          ({ grossJ, sources }) => ({ grossJ, sources: [...sources] }),
          () => undefined,
        ),
    };
  } catch {
    // A counter that cannot be read is no reason not to train.
    return undefined;
  }
}

/** The joules that the trainings of a run took here, as far as they were measured. */
export async function energyOfRun(folder: string): Promise<RunEnergy | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(join(folder, FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Adds what a training took to what the run took before. @throws UserError `write-failed`. */
export async function addEnergy(folder: string, { grossJ, sources }: RunEnergy, goesOn: boolean): Promise<void> {
  const before = goesOn ? await energyOfRun(folder) : { grossJ: 0 };
  // A part that was not measured would make the sum too small.
  if (!before) return;
  await writeFileAtomically(join(folder, FILE), `${JSON.stringify({ grossJ: before.grossJ + grossJ, sources })}\n`);
}
