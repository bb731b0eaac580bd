import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { UserError } from '../errors.js';
import { fileErrorCode, makeFolder, writeFailed } from '../files.js';
import { onExit } from '../onExit.js';
import { Random } from '../random.js';
import { drawScene, type Nuisance } from './scene.js';
import { demoShapes, pretrainShapes, type Shape } from './shapes.js';

export interface PictureOptions {
  /** `pretrain`: twenty forms and textures; `demo`: six kinds of things that are not among them. */
  readonly set: 'pretrain' | 'demo';
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
/** To be raised whenever the same options would draw other pictures. */
const DRAWING = 1;
/** libuv's default number of threads, on which sharp runs. */
const AT_ONCE = 4;

const SETS: Record<PictureOptions['set'], { shapes: Readonly<Record<string, Shape>>; nuisance: Nuisance }> = {
  pretrain: { shapes: pretrainShapes, nuisance: { contrast: 0.2, occlusion: 0.12, distractors: 5 } },
  demo: { shapes: demoShapes, nuisance: { contrast: 0.15, occlusion: 0.25, distractors: 6 } },
};

/**
 * Draws a small set of pictures: `folder/train/<class>/0000.jpg` … and `folder/val/…`. The same options give the same bytes,
 * and each picture depends on its own place only, so a larger set begins with the smaller one. A folder that holds them
 * already is left as it is; one that an earlier call drew otherwise is replaced.
 * @throws UserError `folder-in-use` when the folder holds anything else, `write-failed`, `stopped` when the signal fires.
 */
export async function drawPictures(folder: string, options: PictureOptions): Promise<void> {
  const { set, trainPerClass, valPerClass, size = 48, seed } = options;
  const marker = JSON.stringify({ drawing: DRAWING, set, trainPerClass, valPerClass, size, seed });
  const present = await markerIn(folder);
  if (present === marker) return;
  const { shapes, nuisance } = SETS[set];
  const counts = { train: trainPerClass, val: valPerClass };
  const total = Object.keys(shapes).length * (trainPerClass + valPerClass);
  const root = new Random(seed);
  const beside = `${folder}.${randomBytes(4).toString('hex')}.partial`;
  const forget = onExit(() => {
    rmSync(beside, { recursive: true, force: true });
  });
  try {
    const pictures: (() => Promise<void>)[] = [];
    for (const [split, count] of Object.entries(counts)) {
      for (const [name, shape] of Object.entries(shapes)) {
        await makeFolder(join(beside, split, name));
        for (let index = 0; index < count; index++) {
          const path = join(beside, split, name, `${String(index).padStart(4, '0')}.jpg`);
          const random = root.fork(`${set}/${split}/${name}/${index}`);
          pictures.push(async () =>
            writeFile(path, await photograph(drawScene(shape, size, random, nuisance), random)),
          );
        }
      }
    }
    let done = 0;
    const queue = pictures.values();
    const drawAll = async () => {
      for (const draw of queue) {
        if (options.signal?.aborted) throw new UserError('stopped', `stopped while drawing pictures into ${folder}`);
        await draw();
        options.onProgress?.(++done, total);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, drawAll));
    await writeFile(join(beside, MARKER), marker);
    if (present !== undefined) await rm(folder, { recursive: true });
    await rename(beside, folder);
  } catch (cause) {
    // Another process may have drawn the same at the same time.
    if ((await markerIn(folder)) === marker) return;
    if (cause instanceof UserError) throw cause;
    throw writeFailed(folder, cause, 'draw the pictures in');
  } finally {
    // Pictures that were under way may still arrive; and where the parent is no folder there is nothing to remove.
    await rm(beside, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
    forget();
  }
}

/** undefined where there is no folder, or an empty one. */
async function markerIn(folder: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, MARKER), 'utf8');
  } catch {
    const found = await readdir(folder).catch((thrown: unknown) =>
      ['ENOENT', 'ENOTDIR'].includes(fileErrorCode(thrown) ?? '') ? [] : undefined,
    );
    if (found?.length === 0) return undefined;
    throw new UserError(
      'folder-in-use',
      `${folder} holds something other than drawn pictures; give an empty or a new folder`,
    );
  }
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
