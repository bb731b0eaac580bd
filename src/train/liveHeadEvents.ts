import { UserError } from '../errors.js';

/** What a {@link LiveHead} tells while it learns. */
export type LiveHeadEvent =
  /** Photos whose features are there, of all; then steps of the training that were taken. */
  | {
      readonly type: 'progress';
      readonly phase: 'features' | 'training';
      readonly done: number;
      readonly total: number;
    }
  /** A photo that cannot be read. */
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string };

/** @throws UserError `stopped` when the signal has fired. */
export function checkLearning(signal: AbortSignal): void {
  if (signal.aborted) throw new UserError('stopped', 'stopped before the head had learned');
}
