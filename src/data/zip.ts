import { extname } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import { Entry, openPromise } from 'yauzl';
import { messageOf, UserError } from '../errors.js';
import { type Dataset, datasetOf, EXTENSIONS, type OpenOptions, VAL_NAMES } from './dataset.js';

/** Where a photo lies in a zip file. */
export interface ZipEntry {
  readonly kind: 'zip';
  readonly archive: string;
  /** Of the entry's header, in bytes. */
  readonly offset: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  /** 0 for none, 8 for deflate. */
  readonly compressionMethod: number;
  readonly crc32: number;
}

const LAYOUT = `expected a zip file with one folder for each class, <class>/*.jpg (or ${EXTENSIONS.slice(1).join(' ')}), or a Teachable Machine image project (.tm)`;
/** A photo of more bytes than this is rather a bomb; at most a few are unpacked at once. */
const LARGEST_PHOTO_BYTES = 256 * 2 ** 20;
/** What Teachable Machine's projects put between a class's name and the number of a sample: `cat-!-0.jpg`. */
const SAMPLE_MARK = '-!-';

interface Found {
  /** The folders it lies in, outermost first. */
  folders: readonly string[];
  readonly photo: { readonly path: string; readonly inside: ZipEntry };
}

/**
 * Finds the photos of a zip file, which are read in place, never unpacked to disk: one folder a class, or `train/` and `val/`,
 * each also inside one folder round all; or a Teachable Machine image project, whose samples are called `<class>-!-<number>.jpg`.
 * @throws UserError `bad-archive` for what is no zip file, is cut off, encrypted, or has names that lead out of it; and what
 * `datasetOf` throws.
 */
export async function openZip(archive: string, options: OpenOptions): Promise<Dataset> {
  let photos: Found[];
  try {
    photos = await photosIn(archive);
  } catch (cause) {
    throw new UserError('bad-archive', `cannot read the zip file ${archive}: ${messageOf(cause)}`, { cause });
  }
  const [first] = photos;
  const wrapped = photos.every(({ folders }) => folders.length > 1 && folders[0] === first?.folders[0]);
  if (wrapped) photos = photos.map(({ folders, photo }) => ({ folders: folders.slice(1), photo }));

  const outermost = [...new Set(photos.flatMap(({ folders }) => folders.slice(0, 1)))];
  const named = (name: string) => outermost.find((each) => each.toLowerCase() === name);
  const trainName = named('train');
  const valName = trainName === undefined ? undefined : VAL_NAMES.map(named).find((name) => name !== undefined);
  const below = (name: string | undefined) =>
    photosByClass(
      name === undefined
        ? photos
        : photos.flatMap(({ folders, photo }) => (folders[0] === name ? [{ folders: folders.slice(1), photo }] : [])),
    );
  return datasetOf(
    {
      source: archive,
      layout: LAYOUT,
      train: below(trainName),
      val: valName === undefined ? undefined : below(valName),
    },
    options,
  );
}

/** The bytes of one entry. Throws an `Error` where they are not what the archive says of them. */
export async function readZipEntry(place: ZipEntry): Promise<Buffer> {
  const zip = await openPromise(place.archive, { autoClose: false });
  try {
    const entry = Object.assign(new Entry(), {
      relativeOffsetOfLocalHeader: place.offset,
      compressionMethod: place.compressionMethod,
      compressedSize: place.compressedBytes,
      uncompressedSize: place.bytes,
      generalPurposeBitFlag: 0,
    });
    const stream = await zip.openReadStreamPromise(entry);
    const bytes = await buffer(stream);
    if (crc32(bytes) !== place.crc32) throw new Error('its checksum is wrong, so the zip file is damaged');
    return bytes;
  } finally {
    zip.close();
  }
}

/** Sorted by name. Throws an `Error` for an archive that cannot be read, or should not be. */
async function photosIn(archive: string): Promise<Found[]> {
  const photos: Found[] = [];
  const zip = await openPromise(archive);
  for await (const entry of zip.eachEntry()) {
    const name = entry.fileName;
    const folders = name.split('/');
    const file = folders.pop() ?? '';
    if ([...folders, file].some((part) => part.startsWith('.') || part === '__MACOSX')) continue;
    if (!EXTENSIONS.includes(extname(file).toLowerCase())) continue;
    if (!entry.canDecodeFileData())
      throw new Error(`"${name}" is encrypted, or compressed in another way than zip files usually are`);
    if (entry.uncompressedSize > LARGEST_PHOTO_BYTES)
      throw new Error(`"${name}" unpacks to ${Math.round(entry.uncompressedSize / 1e6)} MB, too much for a photo`);
    const sampleOf = file.lastIndexOf(SAMPLE_MARK);
    photos.push({
      folders: folders.length === 0 && sampleOf > 0 ? [file.slice(0, sampleOf)] : folders,
      photo: {
        path: `${archive}/${name}`,
        inside: {
          kind: 'zip',
          archive,
          offset: entry.relativeOffsetOfLocalHeader,
          compressedBytes: entry.compressedSize,
          bytes: entry.uncompressedSize,
          compressionMethod: entry.compressionMethod,
          crc32: entry.crc32,
        },
      },
    });
  }
  return photos.sort((a, b) => (a.photo.path < b.photo.path ? -1 : 1));
}

function photosByClass(photos: readonly Found[]): Map<string, Found['photo'][]> {
  const found = new Map<string, Found['photo'][]>();
  for (const { folders, photo } of photos) {
    const [name] = folders;
    if (name === undefined) continue;
    const others = found.get(name);
    if (others) others.push(photo);
    else found.set(name, [photo]);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
