import { type KnownOfModel, readLabelsFile, type StatedPreprocessing } from '../internal.js';
import type { Terminal } from './terminal.js';

/** What `--labels` and `--preprocessing` say of a model. @throws UserError `no-such-file`, `bad-labels`. */
export function knownOfModel(args: { labels: string | undefined; preprocessing: string | undefined }): KnownOfModel {
  return {
    preprocessing: args.preprocessing,
    ...(args.labels === undefined ? {} : { labels: readLabelsFile(args.labels) }),
  };
}

/** Tells on standard error where the preprocessing of a model comes from that ort-tl has not exported. */
export function tellOfPreprocessing(terminal: Terminal, { notes, warnings }: StatedPreprocessing): void {
  for (const note of notes) terminal.warn(note);
  for (const warning of warnings) terminal.warn(`warning: ${warning}`);
}
