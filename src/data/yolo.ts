import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, resolve, sep } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { UserError } from '../errors.js';
import { fileErrorCode, fileReason, MOST_BYTES, readRegularFile } from '../files.js';
import type { Found } from './dataset.js';
import { listFolder } from './folderListing.js';
import { type FoundLabels, type LabelledPhoto, labelledSplits } from './foundLabels.js';
import { LeftOutCounts } from './leftOut.js';
import type { Unlabelled } from './photo.js';
import type { Role } from './splitNames.js';
import { treeOf } from './tree.js';

const place = z.union([z.string(), z.array(z.string())]).nullish();
const yoloSchema = z.object({
  path: z.string().nullish(),
  names: z.union([z.array(z.coerce.string()), z.record(z.string().regex(/^\d+$/), z.coerce.string())]),
  train: place,
  val: place,
  valid: place,
  test: place,
});
type Yolo = z.infer<typeof yoloSchema>;

const EXPECTED = 'expected names, and train and val with the folders of their photos, as YOLO has them';

/**
 * What a YOLO data set holds, by its `data.yaml`: the photos of the folders, or of the lists, that it names, each with the labels of its boxes,
 * which lie in `labels/x.txt` beside `images/x.jpg`. A photo without such a file has no label.
 * @throws UserError `bad-annotations` with the file and the line.
 */
export async function findInYolo(file: string, source = file): Promise<Found> {
  const yolo = await readYolo(file);
  const names = namesOf(yolo);
  const root = await rootOf(file, yolo);
  const parts: readonly (readonly [Role, Yolo['train']])[] = [
    ['train', yolo.train],
    ['val', yolo.val ?? yolo.valid],
    ['test', yolo.test],
  ];
  const rows: (LabelledPhoto & { readonly split: Role })[] = [];
  const warnings: string[] = [];
  const leftOut = new LeftOutCounts();
  let [found, without] = [0, 0];
  for (const [split, places] of parts)
    for (const named of [places ?? []].flat()) {
      const photos = await photosAt({ file, root }, await placeOf(root, named), leftOut);
      found += photos.found;
      const orphans = new Set(photos.labelFolders.length > 0 ? await labelFilesIn(photos.labelFolders) : []);
      for (const photo of photos.photos) {
        const labelFile = labelFileOf(photo.path);
        orphans.delete(resolve(labelFile));
        const labels = await labelsIn(labelFile, names);
        if (!labels) without++;
        rows.push({ photo, labels: [...(labels ?? [])], split });
      }
      const [orphan] = orphans;
      if (orphan !== undefined)
        warnings.push(
          `${orphans.size} ${orphans.size === 1 ? 'file of labels has' : 'files of labels have'} no photo, such as ${orphan}`,
        );
    }
  if (without > 0)
    warnings.push(
      `${without} of ${rows.length} photos of ${source} have no file of labels, and count as photos of none`,
    );
  const labels: FoundLabels = {
    names: [...new Set(names.values())],
    splits: labelledSplits(source, rows, Boolean(yolo.val ?? yolo.valid ?? yolo.test)),
  };
  return { source, expected: EXPECTED, found, leftOut, warnings, splits: {}, labels };
}

/** The description of a YOLO data set in a folder; undefined where there is none. */
export async function yoloFileIn(folder: string): Promise<string | undefined> {
  const all = await readdir(folder).catch(() => []);
  const files = all.filter((name) => /\.ya?ml$/i.test(name)).sort();
  for (const name of files) {
    const file = join(folder, name);
    if (await isYolo(file)) return file;
  }
  return undefined;
}

/** Whether a file has what describes a set; what is wrong with it is for who reads it to say. */
async function isYolo(path: string): Promise<boolean> {
  const bytes = await readRegularFile(path, MOST_BYTES.settings).catch(() => undefined);
  const text = bytes?.toString('utf8') ?? '';
  return /^['"]?names['"]?\s*:/m.test(text) && /^['"]?(train|val|valid)['"]?\s*:/m.test(text);
}

async function readYolo(file: string): Promise<Yolo> {
  const refuse = (what: string) => new UserError('bad-annotations', `${file}: ${what}; ${EXPECTED}`);
  let data: unknown;
  try {
    data = parse((await readRegularFile(file, MOST_BYTES.settings)).toString('utf8'));
  } catch (cause) {
    if (cause instanceof YAMLParseError)
      throw refuse(`line ${cause.linePos?.[0].line ?? '?'}: ${cause.message.split('\n')[0] ?? ''}`);
    throw refuse(fileReason(cause));
  }
  const parsed = yoloSchema.safeParse(data);
  if (!parsed.success)
    throw refuse(`\`${parsed.error.issues[0]?.path.map(String).join('.') ?? ''}\` is missing or wrong`);
  if (!parsed.data.train && !parsed.data.val && !parsed.data.valid) throw refuse('`train` is missing');
  return parsed.data;
}

/** Number → label. */
function namesOf({ names }: Yolo): ReadonlyMap<number, string> {
  const entries = Array.isArray(names) ? names.map((name, index) => [index, name] as const) : Object.entries(names);
  return new Map(entries.map(([index, name]) => [Number(index), name.trim().normalize('NFC')]));
}

/** What the places of photos are relative to. */
async function rootOf(file: string, { path }: Yolo): Promise<string> {
  const beside = dirname(file);
  if (!path) return beside;
  // The path may be that of another machine.
  for (const root of [resolve(beside, path), resolve(path)]) if (await statOf(root)) return root;
  return beside;
}

/** The folder or list that `named` means; one folder too high is usual. */
async function placeOf(root: string, named: string): Promise<string> {
  const whole = isAbsolute(named) ? named : resolve(root, named);
  if (!(await statOf(whole)) && named.startsWith('../')) return resolve(root, named.slice(3));
  return whole;
}

const statOf = (path: string) => stat(path).catch(() => undefined);

/** A data.yaml, and what its places are relative to. */
interface Description {
  readonly file: string;
  readonly root: string;
}

interface Placed {
  readonly photos: readonly Unlabelled[];
  readonly found: number;
  /** Folders of files of labels that belong to these photos and no others. */
  readonly labelFolders: readonly string[];
}

/** @throws UserError `bad-annotations` where there is nothing. */
async function photosAt({ file, root }: Description, where: string, leftOut: LeftOutCounts): Promise<Placed> {
  const info = await statOf(where);
  if (info?.isDirectory()) {
    const tree = await treeOf(await listFolder(where, EXPECTED));
    for (const [reason, count] of Object.entries(tree.leftOut.toRecord()))
      if (reason !== '.txt' && reason !== '.cache') leftOut.add(reason, count);
    const photos = [...tree.root.everyPhoto()].sort((a, b) => (a.path < b.path ? -1 : 1));
    const others = (tree.leftOut.toRecord()['.txt'] ?? 0) + (tree.leftOut.toRecord()['.cache'] ?? 0);
    const labelFolders = [...new Set(photos.map(({ path }) => dirname(labelFileOf(path))))];
    return { photos, found: tree.found - others, labelFolders };
  }
  if (info?.isFile() && extname(where).toLowerCase() === '.txt') return listedAt(where, root);
  throw new UserError('bad-annotations', `${file}: there is no folder and no list ${where}, which it names`);
}

/** The photos of a list of paths, one a line, relative to the list or to the set. */
async function listedAt(list: string, root: string): Promise<Placed> {
  const lines = (await readRegularFile(list, MOST_BYTES.record)).toString('utf8').split(/\r?\n/);
  const photos: Unlabelled[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const paths = [dirname(list), root].map((folder) => resolve(folder, line.trim()));
    const [beside, inSet] = await Promise.all(paths.map(async (each) => (await statOf(each))?.isFile() ?? false));
    const path = paths[beside ? 0 : 1];
    if (path === undefined || !(beside || inSet))
      throw new UserError('bad-annotations', `${list}, line ${index + 1}: there is no file ${line.trim()}`);
    photos.push({ path });
  }
  return { photos, found: photos.length, labelFolders: [] };
}

/** `labels/x.txt` for `images/x.jpg`: the last folder that is called images, or the file beside the photo. */
function labelFileOf(photo: string): string {
  const parts = dirname(photo).split(sep);
  const at = parts.lastIndexOf('images');
  if (at >= 0) parts[at] = 'labels';
  return join(parts.join(sep), `${basename(photo, extname(photo))}.txt`);
}

async function labelFilesIn(folders: readonly string[]): Promise<string[]> {
  const names = await Promise.all(
    folders.map(async (folder) => (await readdir(folder).catch(() => [])).map((name) => resolve(folder, name))),
  );
  return names.flat().filter((path) => extname(path) === '.txt' && !/^(classes|notes)/i.test(basename(path)));
}

/** The labels of the boxes in a file; undefined where there is no such file. @throws UserError `bad-annotations`. */
async function labelsIn(file: string, names: ReadonlyMap<number, string>): Promise<Set<string> | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (fileErrorCode(cause) === 'ENOENT') return undefined;
    throw new UserError('bad-annotations', `cannot read ${file}: ${fileReason(cause)}`, { cause });
  }
  const labels = new Set<string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [number = ''] = line.trim().split(/\s+/);
    if (number === '') continue;
    const name = names.get(Number(number));
    if (name === undefined || !/^\d+$/.test(number))
      throw new UserError(
        'bad-annotations',
        `${file}, line ${index + 1}: \`${number.slice(0, 40)}\` is the number of no label; there are ${names.size}, from 0 up`,
      );
    labels.add(name);
  }
  return labels;
}
