import type { Unlabelled } from './photo.js';
import type { Role } from './splitNames.js';

/** A photo with the names of its labels, in no order. */
export interface LabelledPhoto {
  readonly photo: Unlabelled;
  readonly labels: readonly string[];
}

/** Photos to train, to validate or to test with. */
export interface LabelledSplit {
  /** Where it was found. */
  readonly source: string;
  readonly photos: readonly LabelledPhoto[];
}

/** Photos that may have several labels each. */
export interface FoundLabels {
  /** The labels, in their order. */
  readonly names: readonly string[];
  readonly splits: { readonly [Split in 'train' | 'val' | 'test']?: LabelledSplit };
}

/** The splits that have photos; where none but `train` could be meant, that. */
export function labelledSplits(
  source: string,
  rows: readonly (LabelledPhoto & { readonly split: Role })[],
  hasSplits: boolean,
): FoundLabels['splits'] {
  const inSplit = (role: Role): LabelledSplit => ({
    source,
    photos: rows
      .filter(({ split }) => split === role)
      .map(({ photo, labels }) => ({ photo, labels }))
      .sort((a, b) => (a.photo.path < b.photo.path ? -1 : a.photo.path > b.photo.path ? 1 : 0)),
  });
  const [train, val, test] = [inSplit('train'), inSplit('val'), inSplit('test')];
  const isNamed = ({ photos }: LabelledSplit) => photos.length > 0;
  return {
    ...(isNamed(train) || (!isNamed(val) && !isNamed(test)) ? { train } : {}),
    ...(isNamed(val) || (hasSplits && !isNamed(test)) ? { val } : {}),
    ...(isNamed(test) ? { test } : {}),
  };
}

/** Labels by code unit. */
export const sortedNames = (names: Iterable<string>): string[] => [...new Set(names)].sort();
