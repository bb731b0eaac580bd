import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MOST_BYTES, readRegularFile } from '../files.js';
import { findInCoco } from './coco.js';
import type { Found } from './dataset.js';
import { roleOf } from './splitNames.js';
import { findInYolo, yoloFileIn } from './yolo.js';

/** What people call the folder of annotations. */
const ANNOTATIONS = /^ann(otation)?s?$/i;

/** What a folder holds whose photos are labelled in COCO's annotations or YOLO's; undefined for any other folder. */
export async function findAnnotated(folder: string): Promise<Found | undefined> {
  const yolo = await yoloFileIn(folder);
  if (yolo !== undefined) return findInYolo(yolo, folder);
  const files = await cocoFilesIn(folder);
  return files.length > 0 ? findInCoco(files, folder) : undefined;
}

/** COCO's annotations in a folder, in `annotations/` and in folders of splits. Of several kinds, as COCO itself has them, those of instances. */
async function cocoFilesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries
    .filter((entry) => entry.isDirectory() && (roleOf(entry.name) !== undefined || ANNOTATIONS.test(entry.name)))
    .map(({ name }) => name)
    .sort();
  const files: string[] = [];
  for (const below of ['', ...folders])
    for (const name of (await readdir(join(folder, below)).catch(() => [])).sort())
      if (/\.json$/i.test(name)) files.push(join(folder, below, name));
  const instances = files.filter((file) => /^instances/i.test(basename(file)));
  const found: string[] = [];
  for (const file of instances.length > 0 ? instances : files) if (await isCoco(file)) found.push(file);
  return found;
}

/** Whether a file has all that COCO's annotations have; what is wrong with them is for who reads them to say. */
async function isCoco(path: string): Promise<boolean> {
  const bytes = await readRegularFile(path, MOST_BYTES.file).catch(() => undefined);
  return bytes !== undefined && ['"images"', '"annotations"', '"categories"'].every((key) => bytes.includes(key));
}
