import type { Task } from '../artifacts/task.js';
import { type Given, numberFrom, setting, settle, wholeNumber } from '../settings.js';
import { alike, checkNames, skeletonOf, toldApart } from './classNames.js';
import { dataSettings } from './dataSettings.js';
import { UserError } from '../errors.js';
import { evenly } from './evenly.js';
import type { FoundLabels } from './foundLabels.js';
import { type LeftOut, LeftOutCounts, leftOutLines, REASONS } from './leftOut.js';
import { NAMED_EXTENSIONS } from './photoTypes.js';
import { placeOf } from './placeOf.js';
import { roleOf } from './splitNames.js';
import type { Photo, Unlabelled } from './photo.js';

export interface Dataset {
  /** What is told of each photo; one of the classes where this is absent. */
  readonly task?: Task;
  /** Classes or labels, by code unit; where something else gives them an order, as in CIFAR's files and COCO's, in that. */
  readonly classes: string[];
  readonly train: Photo[];
  readonly val: Photo[];
  /** Those that the data set keeps for testing beside those that validate: no training touches them. */
  readonly test?: Photo[];
  /** Whether those that validate are those that it names to test with, since it names none to validate with. */
  readonly validatesWithTest?: boolean;
  /** Where it was found. */
  readonly folder: string;
  readonly contents?: Contents;
}

/** What becomes of everything that was found: `found` is the photos of the three splits and all that is left out. */
export interface Contents {
  /** Files at any depth, or the lines of a list. */
  readonly found: number;
  /** Reason or type → how many files. */
  readonly leftOut: LeftOut;
  /** One line each about what somebody may miss, or may have meant otherwise. */
  readonly warnings: readonly string[];
}

const openSettings = {
  task: dataSettings.task,
  valFraction: dataSettings.valFraction,
  seed: wholeNumber(0).default(0),
  limit: dataSettings.limit,
  valLimit: dataSettings.valLimit,
};

/** How photos are chosen and split; the `seed` is the split's. */
export interface OpenOptions extends Given<typeof openSettings> {
  /**
   * What it is opened for; default training, which needs two classes, and photos of each to train and to validate with. Compiling needs
   * the same but for those that validate. Measuring takes what there is, and any `valFraction`: none (0) or all (1) may validate.
   */
  readonly use?: 'training' | 'compiling' | 'measuring';
  /** What becomes of a folder of photos whose name no class can have: a line break is in it, or it is not UTF-8. */
  readonly misnamed?: 'refused' | 'left out';
}

type Use = NonNullable<OpenOptions['use']>;

const anyShare = setting(numberFrom(0, 1).default(dataSettings.valFraction.parse(undefined)), {
  code: 'bad-val-fraction',
  help: 'share of each class that validates, none (0) and all (1) included',
});

/** What photos are opened with. @throws UserError `bad-arguments`, `bad-val-fraction`. */
export function settleOpening(options: OpenOptions) {
  const { use = 'training' } = options;
  const valFraction = use === 'measuring' ? anyShare : dataSettings.valFraction;
  return { use, ...settle({ ...openSettings, valFraction }, options) };
}

/** A class's name → its photos. */
type PhotosByClass = ReadonlyMap<string, readonly Unlabelled[]>;

export interface FoundSplit {
  /** Where its classes were found. */
  readonly source: string;
  /** Its keys are the classes, in their order. */
  readonly classes: PhotosByClass;
  /** A class without photos → what it holds instead. */
  readonly instead?: ReadonlyMap<string, string>;
  /** What to do where it has one class alone. */
  readonly hint?: string;
}

/** Photos to train with, or all of a data set that has no splits, and those that it names to validate and to test with. */
export type FoundSplits = { readonly [Split in 'train' | 'val' | 'test']?: FoundSplit };

/** What was found, whether it will do or not. */
export interface Found {
  /** What the user gave. */
  readonly source: string;
  /** What was expected there. */
  readonly expected: string;
  /** Whether its photos come in lines, not in folders, so that this is what messages speak of. */
  readonly isList?: boolean;
  readonly splits: FoundSplits;
  /** In place of what the splits say, photos that may have several labels. */
  readonly labels?: FoundLabels;
  readonly found: number;
  readonly leftOut: LeftOutCounts;
  readonly warnings: readonly string[];
  /** Why it is no set of labelled photos. */
  readonly problem?: UserError;
  /** What is wrong with the name of a class folder, whose photos are not among these. */
  readonly misnamed?: UserError;
}

/**
 * Labels photos and, where none were named to validate, takes those that were named to test, or a seeded part of each class.
 * @throws UserError the problem that was found; `no-photos`, `no-train-split`, `one-class`, `bad-class-name`, `class-without-photos`,
 * `unknown-class`, `too-few-photos`, `bad-val-fraction`.
 */
export function datasetOf(found: Found, options: OpenOptions): Dataset {
  const { misnamed = 'refused' } = options;
  const { use, valFraction, seed, limit = Infinity, valLimit = Infinity } = settleOpening(options);
  if (found.problem) throw found.problem;
  if (found.misnamed && misnamed === 'refused') throw found.misnamed;
  const { source } = found;
  const warnings = [...found.warnings];
  const leftOut = new LeftOutCounts(found.leftOut);
  const named = found.splits.val
    ? { val: found.splits.val, test: found.splits.test }
    : { val: found.splits.test, test: undefined };
  if (use !== 'measuring') checkTraining(found, named.val);
  else if (Object.values(found.splits).every(({ classes }) => isEmpty(classes))) throw noPhotos(found, source);

  const classes = classesOf(found, use);
  checkNames(classes, source);
  warnings.push(...alike(classes, source));
  const unknown = named.test && alienOf(named.test, classes);
  if (named.test && unknown !== undefined) {
    const count = [...named.test.classes].reduce(
      (sum, [name, photos]) => (classes.includes(name) ? sum : sum + photos.length),
      0,
    );
    leftOut.add(REASONS.unknownClass, count);
    warnings.push(`${named.test.source} has ${count} photos of classes that do not train, such as "${unknown}"`);
  }
  const all = found.splits.train?.classes ?? new Map<string, Unlabelled[]>();
  const { train, val } = named.val ? { train: all, val: named.val.classes } : split(found, all, valFraction, seed, use);
  const chosen = { train: labelled(classes, train, limit), val: labelled(classes, val, valLimit) };
  const over = countOf(train, classes) + countOf(val, classes) - chosen.train.length - chosen.val.length;
  leftOut.add(REASONS.limit, over);
  const counts = leftOut.toRecord();
  return {
    classes,
    ...chosen,
    test: labelled(classes, named.test?.classes ?? new Map<string, Unlabelled[]>(), Infinity),
    validatesWithTest: found.splits.test !== undefined && found.splits.val === undefined,
    folder: source,
    contents: {
      found: found.found,
      leftOut: counts,
      warnings: [...warnings, ...leftOutLines(counts, source)],
    },
  };
}

/** @throws UserError for photos that no classifier could be trained on. */
function checkTraining(found: Found, val: FoundSplit | undefined): void {
  const { train } = found.splits;
  if (!train) {
    const named = Object.values(found.splits).map(({ source }) => source);
    throw named.length === 0
      ? noPhotos(found, found.source)
      : new UserError(
          'no-train-split',
          found.isList
            ? `"${found.source}" has lines to validate or to test with, but none to train with; add lines with the split train, or leave the split out of all lines`
            : `"${found.source}" has photos to validate or to test with (${named.join(', ')}), but none to train with; add a folder train, or name the folder to train with (‹data›)`,
        );
  }
  const classes = [...train.classes.keys()];
  const [first] = classes;
  if (isEmpty(train.classes)) throw noPhotos(found, train.source, train.instead);
  if (first !== undefined && classes.length === 1) {
    const count = train.classes.get(first)?.length ?? 0;
    throw new UserError(
      'one-class',
      !found.isList && (NO_CLASS.test(first) || roleOf(first) !== undefined)
        ? `"${train.source}" has one class only, "${first}": its ${count} photos lie in that folder itself, not in class folders; ${found.expected}`
        : `"${train.source}" has one class only, "${first}"; a classifier needs photos of two or more${train.hint === undefined ? '' : `; ${train.hint}`}`,
    );
  }
  checkNames(classes, train.source);
  for (const [name, photos] of train.classes) {
    if (photos.length > 0) continue;
    const instead = train.instead?.get(name);
    throw new UserError(
      'class-without-photos',
      instead === undefined
        ? `class "${name}" has no photos in ${train.source}; add some (${NAMED_EXTENSIONS.join(' ')}), or remove it`
        : `class "${name}" has no photos that are read in ${train.source}, but ${instead}; add some, or remove it`,
    );
  }
  if (!val) return;
  if (isEmpty(val.classes) && found.isList)
    throw new UserError(
      'no-photos',
      `"${found.source}" has lines to train with, but none to validate with; give some of them the split val, or leave the split out of all lines`,
    );
  if (isEmpty(val.classes)) throw noPhotos(found, val.source, val.instead);
  const alien = alienOf(val, classes);
  if (alien === undefined) return;
  const other = classes.find((name) => skeletonOf(name) === skeletonOf(alien));
  const [here, there] = other === undefined ? [alien, alien] : toldApart(alien, other);
  const known = some(classes.map((name) => (name === other ? there : name)));
  throw new UserError(
    'unknown-class',
    found.isList
      ? `class "${here}" validates in ${val.source}, but does not train there (${known}); ${other === undefined ? 'add lines of it to train with, or remove its lines' : `call it "${there}" in all lines`}`
      : `class "${here}" of ${val.source} is not in ${train.source} (${known}); ${other === undefined ? 'rename or remove it' : `call it "${there}", as there`}`,
  );
}

/** Folders that are called as what they hold, not as a class. */
const NO_CLASS = /^(images?|imgs?|jpegimages|photos?|pictures?|pics?|data|dataset|all)$/i;

function noPhotos({ expected }: Found, where: string, instead?: ReadonlyMap<string, string>): UserError {
  const others = [...(instead ?? [])].slice(0, 3).map(([name, what]) => `${name} holds ${what}`);
  return new UserError(
    'no-photos',
    `no photos found in ${where}${others.length > 0 ? ` (${others.join('; ')})` : ''}; ${expected}`,
  );
}

/** The classes to train with, or, to measure with, all that are named anywhere and have photos. */
function classesOf({ splits }: Found, use: Use): string[] {
  if (use !== 'measuring') return [...(splits.train?.classes.keys() ?? [])];
  const order = [...(splits.train?.classes.keys() ?? [])];
  const further = [splits.val, splits.test].flatMap((each) => [...(each?.classes.keys() ?? [])]);
  const all = [...new Set([...order, ...further])];
  const names = all.some((name) => !order.includes(name)) ? all.sort() : order;
  return names.filter((name) => Object.values(splits).some(({ classes }) => (classes.get(name)?.length ?? 0) > 0));
}

/** A class with photos that is not `known`. */
function alienOf({ classes }: FoundSplit, known: readonly string[]): string | undefined {
  return [...classes].find(([name, photos]) => photos.length > 0 && !known.includes(name))?.[0];
}

/**
 * At least one photo of each class validates, and at least one trains; one alone is a fault of what is to be trained with. A photo's
 * name decides its place in the order, so that nearly all stay on their side when others come: what trained a run would measure its successor.
 */
function split(
  { source, isList, splits }: Found,
  photos: PhotosByClass,
  valFraction: number,
  seed: number,
  use: Use,
): { readonly train: PhotosByClass; readonly val: PhotosByClass } {
  const train = new Map<string, Unlabelled[]>();
  const val = new Map<string, Unlabelled[]>();
  for (const [name, all] of photos) {
    if (all.length === 1 && use === 'training') {
      throw new UserError(
        'too-few-photos',
        `class "${name}" has one photo only in ${splits.train?.source ?? source}, and one must train and another validate; add photos of it, or ${isList ? 'lines with the split val' : 'a val folder'}`,
      );
    }
    const count = countOfShare(all.length, valFraction);
    const places = new Map(all.map((photo) => [photo, placeOf(photo, source, `${seed}/${name}`)]));
    const inOrder = [...all].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
    const chosen = new Set(inOrder.slice(0, count));
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

/** How many of `all` photos of a class validate: of two or more, one at least, and not all, unless that is what is asked for. */
function countOfShare(all: number, share: number): number {
  if (share === 0 || share === 1) return share * all;
  return Math.min(all - 1, Math.max(1, Math.round(all * share)));
}

function labelled(classes: readonly string[], photos: PhotosByClass, most: number): Photo[] {
  return classes.flatMap((name, label) => evenly(photos.get(name) ?? [], most).map((photo) => ({ ...photo, label })));
}

function countOf(photos: PhotosByClass, classes: readonly string[]): number {
  return classes.reduce((sum, name) => sum + (photos.get(name)?.length ?? 0), 0);
}

function isEmpty(photos: PhotosByClass): boolean {
  return [...photos.values()].every((each) => each.length === 0);
}

function some(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')}, …` : names.join(', ');
}
