import { IMAGENET_MEAN, IMAGENET_STD } from '../artifacts/preprocessing.js';
import type { Preprocessing } from '../artifacts/manifest.js';
import type { Task } from '../artifacts/task.js';
import { type Imbalance, imbalanceOf } from '../data/classBalance.js';
import type { Dataset } from '../data/dataset.js';
import { decodeContent } from '../data/decode.js';
import { type DuplicateCounts, Duplicates } from '../data/duplicates.js';
import { centredView, type Size } from '../data/geometry.js';
import type { LeftOut } from '../data/leftOut.js';
import { labelCounts, labelsOfPhoto } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { PhotoReader } from '../data/photoReader.js';
import { readPhoto } from '../data/readPhoto.js';
import { checkReadable } from '../data/readablePhotos.js';
import { SkippedPhotos } from '../data/skippedPhotos.js';
import { UserError } from '../errors.js';
import { type Together, togetherIn } from './together.js';

export interface SurveyOptions {
  /** Whether every photo is read and decoded, which finds those that cannot be, sizes and duplicates; default true. */
  readonly reads?: boolean;
  /** The side in pixels of the images that the network takes; default 224. */
  readonly size?: number;
  /** Share of unreadable photos that is too many; default 0.05. */
  readonly maxBad?: number;
}

export type SplitName = 'train' | 'validate' | 'test';

export interface SurveyedClass {
  readonly name: string;
  readonly train: number;
  readonly validate: number;
  readonly test: number;
  /** Those of all three that cannot be read; 0 where none was read. */
  readonly unreadable: number;
}

/** A photo as a survey names it. */
export interface SurveyedPhoto {
  readonly path: string;
  /** Where it has several labels, all of them, with `|` between. */
  readonly class: string;
  readonly split: SplitName;
}

export interface DuplicatesFound extends DuplicateCounts {
  /** Photos to test with that train or validate, too. */
  readonly ofTest: number;
  /** Photos of the same content. */
  readonly groups: readonly (readonly SurveyedPhoto[])[];
  /** A line each about what spoils a training. */
  readonly warnings: readonly string[];
}

/** Sizes of upright photos in pixels, by their area. */
export interface SizesFound {
  readonly smallest: Size;
  readonly median: Size;
  readonly largest: Size;
  /** The side of the images that the network takes. */
  readonly input: number;
  /** Photos of which a side is shorter than that: they are enlarged. */
  readonly smaller: number;
}

/** What a data set holds. */
export interface Survey {
  /** What is told of each photo. */
  readonly task: Task;
  /** Where it was found. */
  readonly source: string;
  readonly classes: readonly SurveyedClass[];
  /** Files at any depth, or the lines of a list; those that are photos of a class by split, and those that are left out and why. */
  readonly photos: {
    readonly found: number;
    readonly train: number;
    readonly validate: number;
    readonly test: number;
    readonly leftOut: LeftOut;
  };
  /** Whether the photos that validate are those to test with, since none are named to validate with. */
  readonly validatesWithTest: boolean;
  /** A line each about what was left out, or may have been meant otherwise. */
  readonly warnings: readonly string[];
  /** Where the largest class that trains has several times as many photos as the smallest. */
  readonly imbalance?: Imbalance;
  /** Where photos have any number of labels: how these come together. */
  readonly together?: Together;
  /** Classes with few photos to train with. */
  readonly few: readonly { readonly name: string; readonly photos: number }[];
  /** What reading found; absent where none was read. */
  readonly content?: {
    readonly unreadable: readonly (SurveyedPhoto & { readonly reason: string })[];
    readonly duplicates: DuplicatesFound;
    /** Absent where no photo can be read. */
    readonly sizes?: SizesFound;
  };
  /** Why a training would refuse it. */
  readonly problem?: UserError;
}

export type SurveyEvent =
  | { readonly type: 'unreadable'; readonly path: string; readonly reason: string }
  /** After each photo. */
  | { readonly type: 'progress'; readonly done: number; readonly total: number };

/** With fewer photos to train with, a class is learned by luck. */
const FEW_PHOTOS = 10;
/** Photos that are read ahead. */
const AHEAD = 32;
const USUAL_SIDE = 224;

interface Placed {
  readonly photo: Photo;
  readonly split: SplitName;
}

/**
 * Looks at a data set as a training will see it: classes by split, imbalance, and, unless `reads` is false, photos that cannot be read, are
 * there twice, or are small. It throws nothing for what a training would refuse, which is the survey's `problem`.
 */
export async function* survey(
  dataset: Dataset,
  { reads = true, size = USUAL_SIDE, maxBad = 0.05 }: SurveyOptions = {},
): AsyncGenerator<SurveyEvent, Survey> {
  const { task = 'classes', train, val, test = [], contents, folder, validatesWithTest = false } = dataset;
  const placed = placedOf(dataset);
  const imbalance = imbalanceOf(dataset);
  const looked = reads ? yield* look(placed, size) : undefined;
  const classes = classesOf(dataset, looked?.skipped);
  const problem = looked && problemOf(dataset, looked.skipped, maxBad);
  return {
    task,
    source: folder,
    classes,
    photos: {
      found: contents?.found ?? placed.length,
      train: train.length,
      validate: val.length,
      test: test.length,
      leftOut: contents?.leftOut ?? {},
    },
    validatesWithTest,
    warnings: contents?.warnings ?? [],
    ...(imbalance ? { imbalance } : {}),
    ...(task === 'labels'
      ? {
          together: togetherIn(
            dataset.classes,
            placed.map(({ photo }) => photo),
          ),
        }
      : {}),
    few: classes.flatMap(({ name, train: photos }) => (photos < FEW_PHOTOS ? [{ name, photos }] : [])),
    ...(looked ? { content: contentOf(dataset, placed, looked, size) } : {}),
    ...(problem ? { problem } : {}),
  };
}

/** All photos of a data set, each with its split. */
export function placedOf({ train, val, test = [] }: Dataset): Placed[] {
  const inSplit = (photos: readonly Photo[], split: SplitName) => photos.map((photo) => ({ photo, split }));
  return [...inSplit(train, 'train'), ...inSplit(val, 'validate'), ...inSplit(test, 'test')];
}

interface Looked {
  readonly skipped: SkippedPhotos;
  readonly duplicates: Duplicates;
  readonly sizes: readonly Size[];
}

/** Reads every photo just as a training does. */
async function* look(placed: readonly Placed[], side: number): AsyncGenerator<SurveyEvent, Looked> {
  const [skipped, duplicates, sizes] = [new SkippedPhotos(), new Duplicates(), new Array<Size>()];
  const preprocessing: Preprocessing = {
    width: side,
    height: side,
    resize: 'crop',
    mean: IMAGENET_MEAN,
    std: IMAGENET_STD,
  };
  const reader = new PhotoReader(async (photo, how) => {
    const content = await readPhoto(photo);
    duplicates.add(photo, content);
    let size: Size = { width: 0, height: 0 };
    await decodeContent(content, photo.path, (found) => centredView((size = found), how));
    return size;
  });
  const photos = placed.map(({ photo }) => photo);
  for await (const each of reader.read(photos, preprocessing, { concurrency: AHEAD })) {
    if ('error' in each) {
      const reason = each.error.message;
      skipped.add(each.photo, reason);
      yield { type: 'unreadable', path: each.photo.path, reason };
    } else sizes.push(each.decoded);
    yield { type: 'progress', done: each.index + 1, total: photos.length };
  }
  return { skipped, duplicates, sizes };
}

function classesOf({ classes, train, val, test = [] }: Dataset, skipped: SkippedPhotos | undefined): SurveyedClass[] {
  const count = (photos: readonly Photo[]) => labelCounts(photos, classes.length);
  const [training, validating, testing] = [count(train), count(val), count(test)];
  const unreadable = count([...train, ...val, ...test].filter((photo) => skipped?.has(photo)));
  return classes.map((name, label) => ({
    name,
    train: training[label] ?? 0,
    validate: validating[label] ?? 0,
    test: testing[label] ?? 0,
    unreadable: unreadable[label] ?? 0,
  }));
}

function contentOf(
  { classes, train, val, test = [] }: Dataset,
  placed: readonly Placed[],
  { skipped, duplicates, sizes }: Looked,
  input: number,
): NonNullable<Survey['content']> {
  const places = new Map(placed.map(({ photo, split }) => [photo, split]));
  const named = (photo: Photo): SurveyedPhoto => ({
    path: photo.path,
    class: labelsOfPhoto(photo)
      .map((label) => classes[label] ?? '')
      .join('|'),
    split: places.get(photo) ?? 'train',
  });
  const reasons = new Map(skipped.list.map(({ path, reason }) => [path, reason]));
  const readable = (photos: readonly Photo[]) => photos.filter((photo) => !skipped.has(photo));
  const { counts, lines } = duplicates.find(readable(train), readable(val));
  const groups = duplicates.groups(readable([...train, ...val, ...test])).map((group) => group.map(named));
  const ofTest = groups
    .filter((group) => group.some(({ split }) => split !== 'test'))
    .reduce((sum, group) => sum + group.filter(({ split }) => split === 'test').length, 0);
  const sorted = [...sizes].sort((a, b) => a.width * a.height - b.width * b.height);
  const [smallest, median, largest] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const smaller = sizes.filter(({ width, height }) => Math.min(width, height) < input).length;
  return {
    unreadable: placed
      .filter(({ photo }) => skipped.has(photo))
      .map(({ photo }) => ({ ...named(photo), reason: reasons.get(photo.path) ?? '' })),
    duplicates: {
      ...counts,
      ofTest,
      groups,
      warnings: [
        ...lines,
        ...(ofTest > 0
          ? [
              `${ofTest} of the photos to test with ${ofTest === 1 ? 'trains or validates' : 'train or validate'} too, so that a test looks better than it is; remove one of each`,
            ]
          : []),
      ],
    },
    ...(smallest && median && largest ? { sizes: { smallest, median, largest, input, smaller } } : {}),
  };
}

/** What a training would say of the photos that can be read. */
function problemOf(dataset: Dataset, skipped: SkippedPhotos, maxBad: number): UserError | undefined {
  const { train, val } = dataset;
  const ofTraining = new SkippedPhotos();
  for (const photo of [...train, ...val]) if (skipped.has(photo)) ofTraining.add(photo, '');
  const readable = (photos: readonly Photo[]) => photos.filter((photo) => !skipped.has(photo));
  try {
    ofTraining.check(train.length + val.length, maxBad);
    checkReadable(dataset, {
      trainLabels: new Set(readable(train).flatMap(labelsOfPhoto)),
      train: readable(train).length,
      val: readable(val).length,
    });
    return undefined;
  } catch (thrown) {
    if (thrown instanceof UserError) return thrown;
    throw thrown;
  }
}
