import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from './errors.js';

/** How many are named. */
const SHOWN = 3;

/**
 * Refuses a folder of someone else's, which holds files by names that would be written: their names were chosen by nobody who was asked.
 * @throws UserError `foreign-files`.
 */
export function refuseForeign(folder: string, names: readonly string[], what: string): void {
  const foreign = names.filter((name) => existsSync(join(folder, name)));
  if (foreign.length === 0) return;
  const shown = `${foreign.slice(0, SHOWN).join(', ')}${foreign.length > SHOWN ? ', …' : ''}`;
  throw new UserError(
    'foreign-files',
    `${folder} holds ${shown}, which ${what} would replace and ort-tl did not write; choose another folder (‹out›)`,
  );
}
