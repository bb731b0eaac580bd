import { UserError } from '../errors.js';
import { alike, checkNames } from './classNames.js';
import { type Dataset, type Found, type OpenOptions, settleOpening } from './dataset.js';
import { evenly } from './evenly.js';
import type { FoundLabels, LabelledPhoto, LabelledSplit } from './foundLabels.js';
import { LeftOutCounts, leftOutLines, REASONS } from './leftOut.js';
import type { Photo } from './photo.js';
import { stratifiedSplit } from './stratifiedSplit.js';

/** Labels that a line names. */
const NAMED = 5;

/**
 * A data set of photos that have any number of labels. Where none were named to validate, those to test with do, or a seeded part that has
 * each label in the same share. Labels that no photo to train with has are left out, and told.
 * @throws UserError `no-photos`, `no-train-split`, `no-labels`, `too-few-photos`, `bad-class-name`.
 */
export function labelledDataset(found: Found, { names, splits }: FoundLabels, options: OpenOptions): Dataset {
  const { use, valFraction, seed, limit = Infinity, valLimit = Infinity } = settleOpening(options);
  const { source } = found;
  const all = [splits.train, splits.val, splits.test].flatMap((split) => split?.photos ?? []);
  if (all.length === 0) throw new UserError('no-photos', `no photos found in ${source}; ${found.expected}`);
  if (use !== 'measuring') checkTraining(found, splits);
  const warnings = [...found.warnings];
  const classes = use === 'measuring' ? those(names, all) : trained(found, names, splits, warnings);
  checkNames(classes, source);
  warnings.push(...alike(classes, source));
  const named = splits.val ? { val: splits.val, test: splits.test } : { val: splits.test, test: undefined };
  const own = splits.train?.photos ?? [];
  if (!named.val && use === 'training' && own.length < 2)
    throw new UserError(
      'too-few-photos',
      `${source} has one photo only, and one must train and another validate; add photos`,
    );
  const parts = named.val ? { train: own, val: named.val.photos } : stratifiedSplit(own, valFraction, { source, seed });
  const leftOut = new LeftOutCounts(found.leftOut);
  const labelled = (photos: readonly LabelledPhoto[], most: number) => {
    const chosen = limited(photos, most);
    leftOut.add(REASONS.limit, photos.length - chosen.length);
    return chosen.map((photo) => withLabels(photo, classes));
  };
  const dataset = { train: labelled(parts.train, limit), val: labelled(parts.val, valLimit) };
  if (use === 'training') warnings.push(...withoutVal(classes, dataset.val, source));
  const counts = leftOut.toRecord();
  return {
    task: 'labels',
    classes,
    ...dataset,
    test: labelled(named.test?.photos ?? [], Infinity),
    validatesWithTest: splits.test !== undefined && splits.val === undefined,
    folder: source,
    contents: { found: found.found, leftOut: counts, warnings: [...warnings, ...leftOutLines(counts, source)] },
  };
}

/** @throws UserError where there is nothing to train with, or to validate with. */
function checkTraining({ source, isList, expected }: Found, { train, val, test }: FoundLabels['splits']): void {
  if (!train)
    throw new UserError(
      'no-train-split',
      `${source} has photos to validate or to test with, but none to train with; ${isList ? 'add lines with the split train' : 'add a part train'}`,
    );
  if (train.photos.length === 0) throw new UserError('no-photos', `no photos to train with in ${source}; ${expected}`);
  if (val?.photos.length === 0 && !test)
    throw new UserError(
      'no-photos',
      `${source} has photos to train with, but none to validate with; give some of them the split val, or leave the splits out`,
    );
  if (train.photos.every(({ labels }) => labels.length === 0))
    throw new UserError(
      'no-labels',
      `none of ${train.photos.length} photos to train with in ${source} has a label; if they lie in a folder for each class, say so (‹task› classes)`,
    );
}

const those = (names: readonly string[], photos: readonly LabelledPhoto[]): string[] => {
  const there = new Set(photos.flatMap(({ labels }) => labels));
  return names.filter((name) => there.has(name));
};

/** The labels that a photo to train with has; a line tells of the others. */
function trained(
  { source }: Found,
  names: readonly string[],
  { train, val, test }: FoundLabels['splits'],
  warnings: string[],
): string[] {
  const classes = those(names, train?.photos ?? []);
  const rest = names.filter((name) => !classes.includes(name));
  const elsewhere = those(
    rest,
    [val, test].flatMap((split: LabelledSplit | undefined) => split?.photos ?? []),
  );
  const nowhere = rest.filter((name) => !elsewhere.includes(name));
  if (elsewhere.length > 0)
    warnings.push(`no photo to train with in ${source} has ${some(elsewhere)}, which others have: left out`);
  if (nowhere.length > 0) warnings.push(`no photo of ${source} has ${some(nowhere)}: left out`);
  return classes;
}

/** A line about labels that no photo to validate with has. */
function withoutVal(classes: readonly string[], val: readonly Photo[], source: string): string[] {
  const there = new Set(val.flatMap(({ labels = [] }) => labels));
  const lacking = classes.filter((_, label) => !there.has(label));
  return lacking.length > 0
    ? [
        `no photo to validate with in ${source} has ${some(lacking)}, so that mAP leaves ${lacking.length === 1 ? 'it' : 'them'} out`,
      ]
    : [];
}

/** Photos, evenly from all of them, so that each label has `most` of them where it has so many. */
function limited(photos: readonly LabelledPhoto[], most: number): LabelledPhoto[] {
  if (most === Infinity) return [...photos];
  const counts = new Map<string, number>();
  const chosen = new Set<LabelledPhoto>();
  // Neighbours among photos are often alike.
  const order = evenly(photos, Math.min(photos.length, Math.max(most, 1)));
  for (const photo of [...order, ...photos]) {
    if (chosen.has(photo)) continue;
    const labels = photo.labels.length > 0 ? photo.labels : [''];
    if (labels.every((label) => (counts.get(label) ?? 0) >= most)) continue;
    chosen.add(photo);
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return photos.filter((photo) => chosen.has(photo));
}

function withLabels({ photo, labels }: LabelledPhoto, classes: readonly string[]): Photo {
  const indices = labels.map((name) => classes.indexOf(name)).filter((index) => index >= 0);
  return { ...photo, label: 0, labels: [...new Set(indices)].sort((a, b) => a - b) };
}

const some = (names: readonly string[]) =>
  `${names
    .slice(0, NAMED)
    .map((name) => `"${name}"`)
    .join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`;
