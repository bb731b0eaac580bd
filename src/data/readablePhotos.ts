import { UserError } from '../errors.js';
import type { Dataset } from './dataset.js';

/** The photos that could be read. */
interface Readable {
  /** The labels of those that train. */
  readonly trainLabels: ReadonlySet<number>;
  readonly train: number;
  readonly val: number;
}

/**
 * Checks that the photos that could be read are enough for a training.
 * @throws UserError `no-photos`, `class-without-photos`.
 */
export function checkReadable(
  { folder, classes }: Pick<Dataset, 'folder' | 'classes'>,
  { trainLabels, train, val }: Readable,
): void {
  const empty = train === 0 ? 'train' : val === 0 ? 'validate' : undefined;
  if (empty)
    throw new UserError('no-photos', `${folder} has no readable photos to ${empty} with; mend or replace them`);
  const lacking = classes.find((_, label) => !trainLabels.has(label));
  if (lacking !== undefined)
    throw new UserError(
      'class-without-photos',
      `class "${lacking}" has no readable photos to train with in ${folder}; mend or replace them, or remove the class`,
    );
}
