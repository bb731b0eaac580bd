import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.js';
import { fileErrorCode, makeFolder, writeFailed } from '../files.js';
import { Random } from '../random.js';
import { resultOf } from '../resultOf.js';
import { temporaryBeside, type TemporaryFolder } from '../temporary.js';
import { poolSize } from '../threadPool.js';
import { drawScene, type Nuisance } from './scene.js';
import { drawSeveralThings, drawThings } from './severalThings.js';
import { demoShapes, pretrainShapes, type PictureShape } from './pictureShapes.js';
import { sharp } from './sharp.js';

type PictureSet = 'pretrain' | 'demo' | 'scenes';

export interface PictureOptions {
  /**
   * `pretrain`: twenty forms and textures; `demo`: six kinds of things that are not among them; `scenes`: none to four of those six in a picture,
   * which `labels.csv` tells, as many pictures in all as the others have in their class folders.
   */
  readonly set: PictureSet;
  readonly trainPerClass: number;
  readonly valPerClass: number;
  /** Side of a picture in px; default 48. */
  readonly size?: number;
  readonly seed: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the drawing; no picture is left then. */
  readonly signal?: AbortSignal;
}

/** Names what was drawn, so that it need not be drawn again. */
const MARKER = 'pictures.json';
/** Which things a scene shows. */
const LIST = 'labels.csv';
/** To be raised whenever the same options would draw other pictures. */
const DRAWING = 1;

const SETS: Record<PictureSet, { shapes: Readonly<Record<string, PictureShape>>; nuisance: Nuisance }> = {
  pretrain: { shapes: pretrainShapes, nuisance: { contrast: 0.2, occlusion: 0.12, distractors: 5 } },
  demo: { shapes: demoShapes, nuisance: { contrast: 0.15, occlusion: 0.25, distractors: 6 } },
  scenes: { shapes: demoShapes, nuisance: { contrast: 0.2, occlusion: 0.1, distractors: 4 } },
};

/** How far the drawing is. */
export interface Drawn {
  readonly done: number;
  readonly total: number;
}

/** Does what {@link drawingPictures} does, to its end. @throws as that does. */
export function drawPictures(folder: string, options: PictureOptions): Promise<void> {
  return resultOf(drawingPictures(folder, options), ({ done, total }) => options.onProgress?.(done, total));
}

/**
 * Draws a small set of pictures: `folder/train/<class>/0000.jpg` … and `folder/val/…`. The same options give the same bytes,
 * and each picture depends on its own place only, so a larger set begins with the smaller one. A folder that holds them
 * already is left as it is; one that an earlier call drew otherwise is replaced. It tells of each picture; whoever looks no longer wants none.
 * @throws UserError `folder-in-use` when the folder holds anything else, `write-failed`, `stopped` when the signal fires.
 */
export async function* drawingPictures(folder: string, options: PictureOptions): AsyncGenerator<Drawn, void> {
  const { set, trainPerClass, valPerClass, size = 48, seed } = options;
  const marker = JSON.stringify({ drawing: DRAWING, set, trainPerClass, valPerClass, size, seed });
  const present = await drawnIn(folder);
  if (present === marker) return;
  const { shapes, nuisance } = SETS[set];
  const total = Object.keys(shapes).length * (trainPerClass + valPerClass);
  const root = new Random(seed);
  const refuse = (cause: unknown) => writeFailed(folder, cause, 'draw the pictures in');
  let work: TemporaryFolder | undefined;
  try {
    await makeFolder(dirname(resolve(folder)));
    work = temporaryBeside(resolve(folder));
    const beside = join(work.path, 'pictures');
    const places = pathsOf(set, { train: trainPerClass, val: valPerClass });
    for (const below of new Set(places.map(({ path }) => dirname(path)))) await makeFolder(join(beside, below));
    const pictures = places.map(({ split, name, index, path }) => async () => {
      if (options.signal?.aborted) throw new UserError('stopped', `stopped while drawing pictures into ${folder}`);
      const random = root.fork(`${set}/${split}/${name}/${index}`);
      const svg =
        set === 'scenes'
          ? drawSeveralThings(
              thingsIn(root, { split, index }).flatMap((thing) => shapes[thing] ?? []),
              size,
              random,
              nuisance,
            )
          : drawScene(shapeCalled(shapes, name), size, random, nuisance);
      await writeFile(join(beside, path), await photograph(svg, random));
    });
    for await (const done of atOnce(pictures, poolSize())) yield { done, total };
    if (set === 'scenes') await writeFile(join(beside, LIST), listOf(root, places));
    await writeFile(join(beside, MARKER), marker);
    // What was drawn before goes with the folder for what is needed for a while.
    if (present !== undefined) await rename(folder, join(work.path, 'before'));
    await rename(beside, folder);
  } catch (cause) {
    // Another process may have drawn the same at the same time.
    if ((await drawnIn(folder)) === marker) return;
    if (cause instanceof UserError) throw cause.code === 'write-failed' ? refuse(cause.cause) : cause;
    throw refuse(cause);
  } finally {
    await work?.remove().catch(() => undefined);
  }
}

function shapeCalled(shapes: Readonly<Record<string, PictureShape>>, name: string): PictureShape {
  const shape = shapes[name];
  if (!shape) throw new Error(`there is no shape ${name}`);
  return shape;
}

/** The things in a scene, by their names. */
function thingsIn(root: Random, { split, index }: Pick<Place, 'split' | 'index'>): string[] {
  const names = Object.keys(SETS.scenes.shapes);
  return drawThings(names.length, root.fork(`scenes/${split}/${index}/things`)).map((thing) => names[thing] ?? '');
}

/** What tells which things scenes show, and what they are for. */
function listOf(root: Random, places: readonly Place[]): string {
  const lines = places.map((place) => [place.path, thingsIn(root, place).join('|'), place.split].join(','));
  return `${['path,labels,split', ...lines].join('\n')}\n`;
}

/**
 * Does `works`, so many at once, and gives how many are done. Where one fails, or nobody looks any longer, no further one is begun, and none
 * is left running.
 */
async function* atOnce(works: readonly (() => Promise<void>)[], most: number): AsyncGenerator<number, void> {
  const running = new Set<Promise<void>>();
  let [done, told] = [0, 0];
  try {
    for (const [index, work] of works.entries()) {
      const run = work().then(() => {
        running.delete(run);
        done++;
      });
      // It is asked for later.
      run.catch(() => undefined);
      running.add(run);
      const isLast = index === works.length - 1;
      while (running.size >= (isLast ? 1 : most)) {
        await Promise.race(running);
        while (told < done) yield ++told;
      }
    }
  } finally {
    await Promise.allSettled(running);
  }
}

const markerSchema = z.object({
  drawing: z.number(),
  set: z.enum(['pretrain', 'demo', 'scenes']),
  trainPerClass: z.number(),
  valPerClass: z.number(),
  size: z.number(),
  seed: z.number(),
});

/**
 * What was drawn in a folder, as its marker has it; undefined where there is no folder, or an empty one.
 * @throws UserError `folder-in-use` when it holds anything else.
 */
async function drawnIn(folder: string): Promise<string | undefined> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch((thrown: unknown) =>
    ['ENOENT', 'ENOTDIR'].includes(fileErrorCode(thrown) ?? '') ? [] : undefined,
  );
  if (names?.length === 0) return undefined;
  const text = await readFile(join(folder, MARKER), 'utf8').catch(() => '');
  const drawn = parsedMarker(text);
  const files = names?.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const alien = files?.find((path) => !drawn?.has(relative(folder, path)));
  if (drawn && alien === undefined) return text;
  throw new UserError(
    'folder-in-use',
    `${folder} holds ${drawn && alien !== undefined ? `${relative(folder, alien)}, which ort-tl did not draw` : 'something other than drawn pictures'}; give an empty or a new folder`,
  );
}

/** The files of which a marker tells, itself among them; undefined for what is no marker. */
function parsedMarker(text: string): ReadonlySet<string> | undefined {
  try {
    const { set, trainPerClass, valPerClass } = markerSchema.parse(JSON.parse(text));
    const paths = pathsOf(set, { train: trainPerClass, val: valPerClass });
    return new Set([MARKER, ...(set === 'scenes' ? [LIST] : []), ...paths.map(({ path }) => path)]);
  } catch {
    return undefined;
  }
}

interface Place {
  readonly split: string;
  readonly name: string;
  readonly index: number;
  /** Below the folder. */
  readonly path: string;
}

function pathsOf(set: PictureSet, counts: Readonly<Record<'train' | 'val', number>>): Place[] {
  const names = Object.keys(SETS[set].shapes);
  if (set === 'scenes')
    return Object.entries(counts).flatMap(([split, count]) =>
      Array.from({ length: names.length * count }, (_, index) => ({
        ...{ split, name: '', index },
        path: join(split, `${String(index).padStart(4, '0')}.jpg`),
      })),
    );
  return Object.entries(counts).flatMap(([split, count]) =>
    names.flatMap((name) =>
      Array.from({ length: count }, (_, index) => ({
        ...{ split, name, index },
        path: join(split, name, `${String(index).padStart(4, '0')}.jpg`),
      })),
    ),
  );
}

/** What a small camera makes of the scene: unsharp, too dark or too bright, tinted, noisy, as a JPEG. */
async function photograph(svg: string, random: Random): Promise<Buffer> {
  const drawn = sharp(Buffer.from(svg)).removeAlpha();
  // libvips takes no smaller sigma than 0.3.
  const sigma = random.between(-0.5, 1);
  if (sigma >= 0.3) drawn.blur(sigma);
  const { data, info } = await drawn.raw().toBuffer({ resolveWithObject: true });
  const gain = random.between(0.8, 1.2);
  const tint = [0, 1, 2].map(() => gain * random.between(0.92, 1.08));
  const offset = random.between(-15, 15);
  const noise = random.between(0, 12);
  for (let at = 0; at < data.length; at++) {
    const value = (data[at] ?? 0) * (tint[at % 3] ?? 1) + offset + noise * random.normal();
    data[at] = Math.min(255, Math.max(0, Math.round(value)));
  }
  const quality = 70 + random.integer(25);
  return sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer();
}
