import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../files.js';
import type { StudioChoices } from '../api.js';
import { parsed } from './parsed.js';

const FILE = 'studio.json';

export const changedSettings = z.strictObject({
  model: z.string().min(1).max(4096).optional(),
  live: z.boolean().optional(),
});

/** What was chosen on the page, which is kept among the runs. */
export class StudioSettings {
  private constructor(
    private readonly file: string,
    private settings: StudioChoices,
  ) {}

  /** Opens what was chosen last; `model` was named anew, else `usual` is what is taken first of all. What is damaged counts as nothing. */
  static async open(runs: string, usual: string, model?: string): Promise<StudioSettings> {
    const file = join(runs, FILE);
    const text = await readFile(file, 'utf8').catch(() => '{}');
    const { data: kept } = changedSettings.safeParse(parsed(text));
    return new StudioSettings(file, { model: model ?? kept?.model ?? usual, live: kept?.live ?? true });
  }

  get current(): StudioChoices {
    return this.settings;
  }

  /** @throws UserError `write-failed`. */
  async change({
    model = this.settings.model,
    live = this.settings.live,
  }: Partial<StudioChoices>): Promise<StudioChoices> {
    const settings = { model, live };
    await writeFileAtomically(this.file, `${JSON.stringify(settings, null, 2)}\n`);
    return (this.settings = settings);
  }
}
