import { LONGEST_LABEL } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { Random } from '../random.js';
import type { CifarRecord } from './cifar.js';
import type { ZipEntry } from './zip.js';

/** Plain data, so that it crosses threads; `readPhoto` reads it. */
export interface Photo {
  /** Its file; for a photo inside another file a name such as `pets.zip/cat/1.jpg`. */
  readonly path: string;
  /** Index into the data set's classes. */
  readonly label: number;
  /** Where it lies when it is no file of its own. */
  readonly inside?: ZipEntry | CifarRecord;
}

export type Unlabelled = Omit<Photo, 'label'>;

export interface Dataset {
  /** Sorted by code unit; of CIFAR files in the order of their labels. */
  readonly classes: string[];
  readonly train: Photo[];
  readonly val: Photo[];
  /** Where it was found. */
  readonly folder: string;
}

export interface OpenOptions {
  /** Share of each class that validates where the data set names no photos for it; default 0.2. */
  readonly valFraction?: number;
  /** Of the split; default 0. */
  readonly seed?: number;
  /** The most photos of each class that train, and that validate, taken evenly from all of them; default all. */
  readonly limit?: number;
  readonly valLimit?: number;
}

/** A class's name → its photos. */
export type PhotosByClass = ReadonlyMap<string, readonly Unlabelled[]>;

export interface Found {
  /** Its keys are the classes, in their order. */
  readonly train: PhotosByClass;
  /** Where the data set says which photos validate. */
  readonly val?: PhotosByClass | undefined;
  /** What the user gave. */
  readonly source: string;
  /** Where the photos were looked for. */
  readonly trainSource?: string | undefined;
  readonly valSource?: string | undefined;
  /** What was expected there. */
  readonly layout: string;
}

/**
 * Labels photos and, where none were named to validate, takes a seeded part of each class for it.
 * @throws UserError `no-photos`, `one-class`, `bad-class-name`, `class-without-photos`, `unknown-class`, `too-few-photos`, `bad-val-fraction`.
 */
export function datasetOf(found: Found, options: OpenOptions): Dataset {
  const { valFraction = 0.2, seed = 0, limit = Infinity, valLimit = Infinity } = options;
  if (!(valFraction > 0 && valFraction < 1)) {
    throw new UserError('bad-val-fraction', `expected a share between 0 and 1 for validation, got ${valFraction}`);
  }
  const { source, trainSource = source, valSource = source, layout } = found;
  const classes = [...found.train.keys()];
  const [first] = classes;
  if (isEmpty(found.train)) throw new UserError('no-photos', `no photos found in ${trainSource}; ${layout}`);
  if (first !== undefined && classes.length === 1) {
    throw new UserError(
      'one-class',
      `${trainSource} has one class only, "${first}"; a classifier needs photos of two or more`,
    );
  }
  // A class is a line of labels.txt.
  const unprintable = classes.find((name) => /[\p{Cc}\p{Zl}\p{Zp}]/u.test(name));
  if (unprintable !== undefined) {
    throw new UserError(
      'bad-class-name',
      `the name of class ${JSON.stringify(unprintable)} in ${trainSource} has a line break or another control character; rename it`,
    );
  }
  const endless = classes.find(({ length }) => length > LONGEST_LABEL);
  if (endless !== undefined)
    throw new UserError(
      'bad-class-name',
      `the name of class "${endless.slice(0, 40)}…" in ${trainSource} has ${endless.length} characters; shorten it to ${LONGEST_LABEL}`,
    );
  for (const [name, photos] of found.train) {
    if (photos.length > 0) continue;
    throw new UserError(
      'class-without-photos',
      `class "${name}" has no photos in ${trainSource}; add some (${EXTENSIONS.join(' ')}), or remove it`,
    );
  }
  if (found.val) {
    if (isEmpty(found.val)) throw new UserError('no-photos', `no photos found in ${valSource}; ${layout}`);
    for (const name of found.val.keys()) {
      if (found.train.has(name)) continue;
      throw new UserError(
        'unknown-class',
        `class "${name}" of ${valSource} is not in ${trainSource} (${some(classes)}); rename or remove it`,
      );
    }
  }
  const { train, val } = found.val
    ? { train: found.train, val: found.val }
    : split(found.train, valFraction, seed, trainSource);
  return {
    classes,
    train: labelled(classes, train, limit),
    val: labelled(classes, val, valLimit),
    folder: source,
  };
}

/** What sharp's published binaries read, by extension. */
export const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff', '.gif'];

/** What the photos to validate with are called. */
export const VAL_NAMES = ['val', 'valid', 'validation', 'test'];

/** At least one photo of each class validates, and at least one trains. */
function split(photos: PhotosByClass, valFraction: number, seed: number, source: string) {
  const train = new Map<string, Unlabelled[]>();
  const val = new Map<string, Unlabelled[]>();
  for (const [name, all] of photos) {
    if (all.length === 1) {
      throw new UserError(
        'too-few-photos',
        `class "${name}" has one photo only in ${source}, and one must train and another validate; add photos of it, or a val folder`,
      );
    }
    const count = Math.min(all.length - 1, Math.max(1, Math.round(all.length * valFraction)));
    const chosen = new Set(
      new Random(seed)
        .fork(name)
        .shuffle([...all])
        .slice(0, count),
    );
    train.set(
      name,
      all.filter((photo) => !chosen.has(photo)),
    );
    val.set(
      name,
      all.filter((photo) => chosen.has(photo)),
    );
  }
  return { train, val };
}

function labelled(classes: readonly string[], photos: PhotosByClass, most: number): Photo[] {
  return classes.flatMap((name, label) => evenly(photos.get(name) ?? [], most).map((photo) => ({ ...photo, label })));
}

/** At most `most` of the elements, spread evenly, since neighbours among photos are often alike. */
export function evenly<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, index) => Math.floor((index * all.length) / most)).flatMap(
    (place) => all[place] ?? [],
  );
}

function isEmpty(photos: PhotosByClass): boolean {
  return [...photos.values()].every((each) => each.length === 0);
}

function some(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')}, …` : names.join(', ');
}
