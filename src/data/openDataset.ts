import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { UserError } from '../errors.js';
import { type CifarOptions, findInCifar, holdsCifar } from './cifar.js';
import { findAnnotated } from './annotated.js';
import { findInCoco } from './coco.js';
import { findInList } from './csvList.js';
import { type Dataset, datasetOf, type Found } from './dataset.js';
import { foldersAsLabels } from './foldersAsLabels.js';
import { firstBytesOf } from './folderListing.js';
import { findInFolder } from './imageFolder.js';
import { findLabelsInList } from './labelList.js';
import { labelledDataset } from './labelledDataset.js';
import { otherFormatBy, otherFormatOf } from './otherFormats.js';
import { beginsAsPicture } from './photoTypes.js';
import { findInYolo } from './yolo.js';
import { findInZip } from './zip.js';

/**
 * Opens whatever `path` is: a folder of photos, a folder of CIFAR's binary files or one of them (.bin), a list (.csv, .tsv), a zip
 * file or a Teachable Machine project (.tm).
 * @throws UserError `unknown-data` for anything else, and what the data set of that kind throws.
 */
export async function openDataset(path: string, options: CifarOptions): Promise<Dataset> {
  return datasetFound(await findData(path, options), options);
}

/** @throws UserError `bad-arguments` where photos of any number of labels are to have one class. */
function datasetFound(found: Found, options: CifarOptions): Dataset {
  const { labels, problem, misnamed } = found;
  if (!labels || problem || misnamed) return datasetOf(found, options);
  return labelledDataset(found, labels, options);
}

/** A data set that is looked at before it trains. */
interface Surveyed {
  readonly dataset: Dataset;
  /** Why it cannot be trained on, as {@link openDataset} would say it. */
  readonly problem?: UserError;
}

/**
 * Opens whatever `path` is as {@link openDataset} does for a training, and also what has photos of known classes, but cannot be trained on.
 * @throws UserError where there are no photos of known classes.
 */
export async function openToSurvey(path: string, options: CifarOptions): Promise<Surveyed> {
  const found = await findData(path, options);
  try {
    return { dataset: datasetFound(found, options) };
  } catch (problem) {
    if (!(problem instanceof UserError)) throw problem;
    try {
      return { dataset: datasetFound(found, { ...options, use: 'measuring' }), problem };
    } catch {
      // It is the first one that says what to do.
      throw problem;
    }
  }
}

type Finding = Pick<CifarOptions, 'labels' | 'task'>;

/**
 * What `path` holds, whether it will do as a data set or not; by the task that is asked for, or by what it says.
 * @throws UserError where it cannot be read at all.
 */
async function findData(path: string, { labels, task = 'auto' }: Finding = {}): Promise<Found> {
  const several = task === 'classes' ? undefined : await findLabels(path, task);
  if (several) return several;
  const found = await findClasses(path, labels);
  return task === 'labels' ? foldersAsLabels(found) : found;
}

/** What `path` holds where its photos have any number of labels; undefined for anything else. */
async function findLabels(path: string, task: 'auto' | 'labels'): Promise<Found | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return findAnnotated(path);
  if (!found?.isFile()) return undefined;
  switch (extname(path).toLowerCase()) {
    case '.csv':
    case '.tsv':
      return findLabelsInList(path, task);
    case '.json':
      return findInCoco([path]);
    case '.yaml':
    case '.yml':
      return findInYolo(path);
  }
  return undefined;
}

/** What `path` holds where each photo has one class. @throws UserError where it cannot be read at all. */
async function findClasses(path: string, labels: CifarOptions['labels']): Promise<Found> {
  const found = await stat(path).catch(() => undefined);
  // Node.js puts U+FFFD for what is not UTF-8 in its arguments.
  if (!found && path.includes('\ufffd'))
    throw new UserError(
      'unknown-data',
      `cannot open ${path}: its name is not UTF-8, which an argument cannot carry; rename it (convmv), or go into that folder and name it "." (--data .)`,
    );
  if (found?.isDirectory()) return (await holdsCifar(path)) ? findInCifar(path, labels) : findInFolder(path);
  const extension = extname(path).toLowerCase();
  if (found && !found.isFile())
    throw new UserError('unknown-data', `${path} is a pipe or a device; expected ${EXPECTED}`);
  switch (extension) {
    case '.csv':
    case '.tsv':
      return findInList(path);
    case '.zip':
    case '.tm':
      return findInZip(path);
    case '.bin':
      return findInCifar(path, labels);
  }
  if (!found) return findInFolder(path);
  const bytes = await firstBytesOf({ path });
  const begin = Buffer.from(bytes).toString('latin1');
  // Downloads may have lost their extension.
  if (begin.startsWith('PK\x03\x04') && otherFormatOf(basename(path)) === undefined) return findInZip(path);
  const format =
    otherFormatOf(basename(path)) ??
    otherFormatBy(bytes, basename(path)) ??
    (beginsAsPicture(bytes) ? 'one photo' : undefined);
  throw new UserError(
    'unknown-data',
    `${path} is ${format === undefined ? 'no data set' : format}${format?.includes(';') ? ' (' : '; '}expected ${EXPECTED}${format?.includes(';') ? ')' : ''}`,
  );
}

const EXPECTED =
  'a folder, a list (.csv, .tsv), a zip file (.zip, .tm), a CIFAR file (.bin), or annotations (COCO .json, YOLO data.yaml)';
