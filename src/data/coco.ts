import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFile } from '../files.js';
import type { Found } from './dataset.js';
import { type FoundLabels, type LabelledPhoto, labelledSplits } from './foundLabels.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import { ListedFiles } from './listedFiles.js';
import { type Role, roleIn } from './splitNames.js';

const id = z.union([z.number(), z.string()]);
const cocoSchema = z.object({
  images: z.array(z.object({ id, file_name: z.string().min(1) })),
  annotations: z.array(z.object({ image_id: id, category_id: id })),
  categories: z.array(z.object({ id, name: z.string().min(1) })),
});
type Coco = z.infer<typeof cocoSchema>;

const EXPECTED = 'expected annotations as COCO has them, with images, annotations and categories';
/** Images that are looked for to find their folder. */
const PROBED = 20;

/**
 * What files of annotations in COCO's format name: each photo has the categories that its annotations have, and one without an annotation has
 * none. Several files are splits, by their names or by those of the folders that they lie in.
 * @throws UserError `bad-annotations` with the file and the entry, `ambiguous-layout`.
 */
export async function findInCoco(files: readonly string[], source = files[0] ?? ''): Promise<Found> {
  const rows: (LabelledPhoto & { readonly split: Role })[] = [];
  const names: string[] = [];
  const seen = new Map<Role, string>();
  const leftOut = new LeftOutCounts();
  let found = 0;
  for (const file of files) {
    const split = files.length === 1 ? 'train' : roleOfFile(file);
    const other = seen.get(split);
    if (other !== undefined)
      throw new UserError(
        'ambiguous-layout',
        `${other} and ${file} are both there to ${split === 'val' ? 'validate' : split}; name one of them (‹data›)`,
      );
    seen.set(split, file);
    const coco = await readCoco(file);
    for (const { name } of coco.categories) if (!names.includes(nameOf(name))) names.push(nameOf(name));
    const photos = await photosOf(file, coco);
    found += coco.images.length;
    leftOut.add(REASONS.sameLine, coco.images.length - photos.length);
    for (const photo of photos) rows.push({ ...photo, split });
  }
  const labels: FoundLabels = { names, splits: labelledSplits(source, rows, files.length > 1) };
  return { source, expected: EXPECTED, isList: true, found, leftOut, warnings: [], splits: {}, labels };
}

const nameOf = (name: string) => name.trim().normalize('NFC');

/** `instances_val2017.json` and `valid/_annotations.coco.json` are there to validate; what says nothing trains. */
function roleOfFile(file: string): Role {
  return roleIn(basename(file, '.json')) ?? roleIn(basename(dirname(file))) ?? 'train';
}

async function readCoco(file: string): Promise<Coco> {
  const refuse = (what: string) => new UserError('bad-annotations', `${file}: ${what}; ${EXPECTED}`);
  let json: unknown;
  try {
    json = JSON.parse((await readRegularFile(file, MOST_BYTES.file)).toString('utf8').replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw refuse(cause instanceof SyntaxError ? `is no JSON (${oneLine(cause.message)})` : fileReason(cause));
  }
  const parsed = cocoSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue?.path.map(String).join('.') ?? '';
  throw refuse(`at ${at === '' ? 'the top' : at}: ${oneLine(issue?.message ?? 'something else is there')}`);
}

const oneLine = (text: string) => text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 200);

/** The photos of a file, each once. @throws UserError `bad-annotations`. */
async function photosOf(file: string, { images, annotations, categories }: Coco): Promise<LabelledPhoto[]> {
  const refuse = (what: string) => new UserError('bad-annotations', `${file}: ${what}`);
  const nameById = new Map(categories.map((category) => [category.id, nameOf(category.name)]));
  const labelsById = new Map(images.map((image) => [image.id, new Set<string>()]));
  if (labelsById.size < images.length) {
    const seen = new Set<number | string>();
    const again = images.find((image) => seen.has(image.id) || !seen.add(image.id));
    throw refuse(`two images have the id ${again?.id ?? ''}`);
  }
  for (const [index, { image_id: image, category_id: category }] of annotations.entries()) {
    const name = nameById.get(category);
    const labels = labelsById.get(image);
    if (!labels) throw refuse(`annotation ${index + 1} is of image ${image}, and no image has that id`);
    if (name === undefined)
      throw refuse(`annotation ${index + 1}, of image ${image}, has category ${category}, and no category has that id`);
    labels.add(name);
  }
  const folder = await folderOf(file, images);
  const files = new ListedFiles();
  const byFile = new Map<string, { readonly path: string; readonly labels: Set<string> }>();
  for (const { id: number, file_name: name } of images) {
    const found = await files.find(folder, name);
    if (!found) throw refuse(`there is no file ${name}, of image ${number}, in ${folder}`);
    const before = byFile.get(found.key) ?? { path: found.path, labels: new Set<string>() };
    byFile.set(found.key, before);
    for (const label of labelsById.get(number) ?? []) before.labels.add(label);
  }
  return [...byFile.values()].map(({ path, labels }) => ({ photo: { path }, labels: [...labels] }));
}

/** Where the photos of a file lie: beside it, or in a folder that is called as photos or as the file's split are. */
async function folderOf(file: string, images: Coco['images']): Promise<string> {
  const beside = dirname(file);
  const above = dirname(beside);
  const part = basename(file, extname(file)).split('_').at(-1) ?? '';
  const places = ['', 'images', part, join('images', part)].flatMap((below) => [
    join(beside, below),
    join(above, below),
  ]);
  for (const { file_name: name } of images.slice(0, PROBED))
    for (const place of places) if (await isThere(join(place, name))) return place;
  return beside;
}

const isThere = async (path: string) => (await stat(path).catch(() => undefined))?.isFile() ?? false;
