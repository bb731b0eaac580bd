import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../files.js';
import type { Job, Project } from '../api.js';
import { parsed } from './parsed.js';

/** Among the runs, as `studio.json` is. */
const FILE = 'studio-recommendation.json';

const candidate = z.object({
  policy: z.string(),
  top1: z.number().exactOptional(),
  interval: z.tuple([z.number(), z.number()]).exactOptional(),
  predictedMs: z.number().exactOptional(),
  memoryBytes: z.number().exactOptional(),
  energyJ: z.number().exactOptional(),
  verdict: z.string(),
});
const schema = z.object({
  at: z.number(),
  command: z.string(),
  recommendation: z.object({ policy: z.string(), reason: z.string(), policies: z.array(candidate) }),
});

/** What was recommended last, which is kept among the runs: `ort-tl recommend` writes no file, and takes minutes. */
export class KeptRecommendation {
  private readonly file: string;
  private kept: Project['recommended'];

  /** @param runs the folder of runs. */
  constructor(runs: string) {
    this.file = join(runs, FILE);
  }

  get last(): Project['recommended'] {
    return this.kept;
  }

  /** Reads what was kept; what is damaged counts as nothing. */
  async open(): Promise<void> {
    const text = await readFile(this.file, 'utf8').catch(() => '');
    this.kept = schema.safeParse(parsed(text)).data;
  }

  /** Keeps what a job recommended; where it cannot be written, until the studio ends. */
  async keep({ command, recommendation }: Job): Promise<void> {
    if (!recommendation) return;
    this.kept = { at: Date.now(), command, recommendation };
    await writeFileAtomically(this.file, `${JSON.stringify(this.kept, null, 2)}\n`).catch(() => undefined);
  }
}
