import {
  isRun,
  type ModelEvent,
  type ModelFile,
  readModel,
  type ResolvedModel,
  type ResolveOptions,
  resolveModel,
  resultOf,
  settleRun,
} from '../internal.js';
import { showBytes, type Terminal } from './terminal.js';

/**
 * Finds the file that a model's name stands for, and shows how it is loaded. Without a `signal` Ctrl-C ends the process meanwhile; what has
 * arrived is kept.
 * @throws UserError as {@link resolveModel}.
 */
export function findModel(terminal: Terminal, name: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  // A run that another is replacing is brought to one of the two first.
  if (isRun(name)) settleRun(name);
  return resultOf(resolveModel(name, options), (event) => {
    showModelEvent(terminal, event);
  });
}

/** {@link findModel}, and reads it. @throws UserError as {@link readModel} too. */
export async function readSource(
  terminal: Terminal,
  name: string,
  signal?: AbortSignal,
): Promise<ResolvedModel & { readonly model: ModelFile }> {
  const found = await findModel(terminal, name, { trains: true, ...(signal ? { signal } : {}) });
  return { ...found, model: readModel(found.path, { trains: true }) };
}

function showModelEvent(terminal: Terminal, event: ModelEvent): void {
  switch (event.type) {
    case 'pulling':
      terminal.note(`loading ${event.what}${event.bytes === undefined ? '' : `: ${showBytes(event.bytes)}`}`);
      break;
    case 'progress': {
      const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10;
      if (event.total !== undefined)
        terminal.progress(`loading ${event.file}`, megabytes(event.done), megabytes(event.total), 'MB');
      break;
    }
    case 'waiting':
      terminal.warn(event.reason);
      break;
    case 'note':
      terminal.note(event.text);
  }
}
