import { readLabelsFile, type StatedPreprocessing } from '../internal.js';
import type { Terminal } from './terminal.js';

/** The classes that the file of `--labels` names; undefined without the flag. @throws UserError `no-such-file`, `bad-labels`. */
export function labelsGiven(file: string | undefined): string[] | undefined {
  return file === undefined ? undefined : readLabelsFile(file);
}

/** Tells on standard error where the preprocessing of a model comes from that ort-tl has not exported. */
export function tellOfPreprocessing(terminal: Terminal, { notes, warnings }: StatedPreprocessing): void {
  for (const note of notes) terminal.warn(note);
  for (const warning of warnings) terminal.warn(`warning: ${warning}`);
}
