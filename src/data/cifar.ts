import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFile } from '../files.js';
import { type Dataset, datasetOf, type Found, type OpenOptions } from './dataset.js';
import { LeftOutCounts } from './leftOut.js';
import type { CifarRecord, Picture } from './photo.js';

export interface CifarOptions extends OpenOptions {
  /** Which of CIFAR-100's two labels; default fine. */
  readonly labels?: 'fine' | 'coarse';
}

const SIDE = 32;
const PLANE = SIDE * SIDE;
const IMAGE_BYTES = 3 * PLANE;

/** The binary formats of https://www.cs.toronto.edu/~kriz/cifar.html: one label or two, then the planes R, G, B. */
const CIFAR_10_BYTES = 1 + IMAGE_BYTES;
const CIFAR_100_BYTES = 2 + IMAGE_BYTES;

const TRAIN = /^(data_batch_\d+|train)\.bin$/;
const VAL = /^val\.bin$/;
const TEST = /^(test_batch|test)\.bin$/;
/** The files that name the classes, in the order of their labels. */
const NAME_FILES = {
  only: ['batches.meta.txt', 'classes.txt'],
  fine: ['fine_label_names.txt', 'classes.txt'],
  coarse: ['coarse_label_names.txt'],
};
const EXPECTED = 'expected data_batch_1.bin … and test_batch.bin, or train.bin and test.bin';

/** Whether the folder holds CIFAR's binary files. */
export async function holdsCifar(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => TRAIN.test(name));
}

/**
 * Opens CIFAR-10 or CIFAR-100 as binary files: the folder that holds them, or one of them, of which a seeded part then validates.
 * Classes are named by the text file beside them (`batches.meta.txt`, `fine_label_names.txt`, `classes.txt`), else numbered.
 * @throws UserError `bad-cifar` for a file of a wrong length or with a label that has no name, `no-such-file`, and what
 * `datasetOf` throws.
 */
export async function openCifar(path: string, { labels = 'fine', ...options }: CifarOptions): Promise<Dataset> {
  return datasetOf(await findInCifar(path, labels), options);
}

/** What CIFAR's files hold, whether it will do as a data set or not. @throws UserError `bad-cifar`, `no-such-file`. */
export async function findInCifar(path: string, labels: 'fine' | 'coarse' = 'fine'): Promise<Found> {
  const alone = path.toLowerCase().endsWith('.bin');
  const folder = alone ? dirname(path) : path;
  const beside = (await readdir(folder).catch(() => [])).sort();
  const named = (pattern: RegExp) => beside.filter((name) => pattern.test(name)).map((name) => join(folder, name));
  const trainFiles = alone ? [path] : named(TRAIN);
  const valFiles = alone ? [] : named(VAL);
  const testFiles = alone ? [] : named(TEST);

  const files = [...trainFiles, ...valFiles, ...testFiles];
  const recordBytes = await recordBytesOf(files, beside.includes('fine_label_names.txt'));
  const train = await recordsByLabel(trainFiles, recordBytes, labels);
  const val = await recordsByLabel(valFiles, recordBytes, labels);
  const test = await recordsByLabel(testFiles, recordBytes, labels);

  const count = Math.max(-1, ...train.keys(), ...val.keys(), ...test.keys()) + 1;
  const nameFile = NAME_FILES[recordBytes === CIFAR_10_BYTES ? 'only' : labels].find((name) => beside.includes(name));
  const classes = nameFile
    ? linesOf(await readNames(join(folder, nameFile)))
    : Array.from({ length: count }, (_, label) => String(label));
  if (count > classes.length) {
    throw new UserError(
      'bad-cifar',
      `an image of ${path} has the label ${count - 1}, but ${nameFile ?? 'the list'} names ${classes.length} classes, from 0 on`,
    );
  }
  const splitOf = (records: Records) => ({
    source: path,
    classes: new Map(classes.map((name, label) => [name, records.get(label) ?? []])),
  });
  const countOf = (records: Records) => [...records.values()].reduce((sum, each) => sum + each.length, 0);
  return {
    source: path,
    expected: EXPECTED,
    splits: {
      train: splitOf(train),
      ...(valFiles.length > 0 ? { val: splitOf(val) } : {}),
      ...(testFiles.length > 0 ? { test: splitOf(test) } : {}),
    },
    found: countOf(train) + countOf(val) + countOf(test),
    leftOut: new LeftOutCounts(),
    warnings: [],
  };
}

/** The pixels of one image, [32, 32, 3]. */
export async function readCifarRecord({ file, offset }: CifarRecord): Promise<Picture> {
  const planes = new Uint8Array(IMAGE_BYTES);
  const handle = await open(file);
  try {
    const { bytesRead } = await handle.read(planes, 0, IMAGE_BYTES, offset);
    if (bytesRead < IMAGE_BYTES) throw new Error('the file ends within the image');
  } finally {
    await handle.close();
  }
  const pixels = new Uint8Array(IMAGE_BYTES);
  for (let at = 0; at < PLANE; at++)
    for (let channel = 0; channel < 3; channel++) pixels[3 * at + channel] = planes[channel * PLANE + at] ?? 0;
  return { pixels, width: SIDE, height: SIDE };
}

/** Bytes of label and image, by what lies beside the files, else by their length. */
async function recordBytesOf(files: readonly string[], fineNames: boolean): Promise<number> {
  let likely = fineNames ? [CIFAR_100_BYTES] : [CIFAR_10_BYTES, CIFAR_100_BYTES];
  for (const file of files) {
    const { size } = await stat(file).catch((cause: unknown) => {
      throw new UserError('no-such-file', `cannot open ${file}: ${messageOf(cause)}`, { cause });
    });
    const fitting = likely.filter((bytes) => size > 0 && size % bytes === 0);
    if (fitting.length === 0) {
      throw new UserError(
        'bad-cifar',
        `${file} has ${size} bytes, which is no whole number of images of ${likely.join(' or ')} bytes; it may be cut off, or no CIFAR file`,
      );
    }
    likely = fitting;
  }
  return likely[0] ?? CIFAR_10_BYTES;
}

type Records = Map<number, { readonly path: string; readonly inside: CifarRecord }[]>;

async function recordsByLabel(
  files: readonly string[],
  recordBytes: number,
  labels: 'fine' | 'coarse',
): Promise<Records> {
  const found: Records = new Map();
  const labelBytes = recordBytes - IMAGE_BYTES;
  const labelAt = labels === 'coarse' ? 0 : labelBytes - 1;
  for (const file of files) {
    let start = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * recordBytes }) as AsyncIterable<Buffer>) {
      // A chunk may end within a record.
      const first = (recordBytes - ((start - labelAt) % recordBytes)) % recordBytes;
      for (let at = first; at < chunk.length; at += recordBytes) {
        const label = chunk[at] ?? 0;
        const record = (start + at - labelAt) / recordBytes;
        const photo = {
          path: `${file}#${record}`,
          inside: { kind: 'cifar', file, offset: record * recordBytes + labelBytes } as const,
        };
        const others = found.get(label);
        if (others) others.push(photo);
        else found.set(label, [photo]);
      }
      start += chunk.length;
    }
  }
  return found;
}

async function readNames(path: string): Promise<string> {
  try {
    return (await readRegularFile(path, MOST_BYTES.settings)).toString('utf8');
  } catch (cause) {
    throw new UserError('bad-cifar', `cannot read the names of the classes in ${path}: ${fileReason(cause)}`, {
      cause,
    });
  }
}

/** The lines of a list without the empty ones at its end. */
function linesOf(list: string): string[] {
  return list
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
