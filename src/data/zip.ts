import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import { Entry as ArchiveEntry, getFileNameLowLevel, openPromise, validateFileName, type ZipFile } from 'yauzl';
import { messageOf, UserError } from '../errors.js';
import { type Dataset, datasetOf, type Found, type OpenOptions } from './dataset.js';
import type { Unlabelled, ZipEntry } from './photo.js';
import { readTreeLayout } from './layout/treeLayout.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import { isPhotoName, NAMED_EXTENSIONS, SIGNATURE_BYTES } from './photoTypes.js';
import { systemFile, systemFolder } from './systemFiles.js';
import { type Entry, type Listing, treeOf } from './tree.js';

const EXPECTED = `expected a zip file with one folder for each class, <class>/*.jpg (or ${NAMED_EXTENSIONS.slice(1).join(' ')}), or a Teachable Machine image project (.tm)`;
/** A photo of more bytes than this is rather a bomb; at most a few are unpacked at once. */
const LARGEST_PHOTO_BYTES = 256 * 2 ** 20;
/** What Teachable Machine's projects put between a class's name and the number of a sample: `cat-!-0.jpg`. */
const SAMPLE_MARK = '-!-';

/**
 * Finds the photos of a zip file, which are read in place, never unpacked to disk, in the folders that a folder of photos may have;
 * or a Teachable Machine image project, whose samples are called `<class>-!-<number>.jpg`.
 * @throws UserError `bad-archive` for what is no zip file, is cut off, encrypted, or has names that lead out of it; and what
 * `datasetOf` throws.
 */
export async function openZip(archive: string, options: OpenOptions): Promise<Dataset> {
  return datasetOf(await findInZip(archive), options);
}

/** What a zip file holds, whether it will do as a data set or not. @throws UserError `bad-archive`. */
export async function findInZip(archive: string): Promise<Found> {
  const { listing, repeated, guessed } = await listZip(archive);
  const tree = await treeOf(listing);
  const leftOut = new LeftOutCounts(tree.leftOut);
  leftOut.add(REASONS.sameEntry, repeated);
  const layout = readTreeLayout({ ...tree, leftOut }, archive, EXPECTED);
  const doubtful =
    guessed === undefined
      ? []
      : [
          `names in ${archive} are not UTF-8, and are read as code page 437, such as ${guessed}; where that is wrong, unpack it, or make it anew with names in UTF-8`,
        ];
  const warnings = [...doubtful, ...layout.warnings];
  return { source: archive, expected: EXPECTED, found: tree.found + repeated, leftOut, ...layout, warnings };
}

/** The bytes of one entry. Throws an `Error` where they are not what the archive says of them. */
export async function readZipEntry(place: ZipEntry): Promise<Buffer> {
  const zip = await openPromise(place.archive, { autoClose: false });
  try {
    const bytes = await buffer(await streamOf(zip, place));
    if (crc32(bytes) !== place.crc32) throw new Error('its checksum is wrong, so the zip file is damaged');
    return bytes;
  } finally {
    zip.close();
  }
}

function streamOf(zip: ZipFile, place: ZipEntry) {
  const entry = Object.assign(new ArchiveEntry(), {
    relativeOffsetOfLocalHeader: place.offset,
    compressionMethod: place.compressionMethod,
    compressedSize: place.compressedBytes,
    uncompressedSize: place.bytes,
    generalPurposeBitFlag: 0,
  });
  return zip.openReadStreamPromise(entry);
}

/** The first bytes of an entry, none where it cannot be read. */
async function firstBytesOf({ inside }: Unlabelled): Promise<Uint8Array> {
  if (inside?.kind !== 'zip' || inside.bytes > LARGEST_PHOTO_BYTES) return new Uint8Array();
  const zip = await openPromise(inside.archive, { autoClose: false });
  try {
    let bytes = Buffer.alloc(0);
    for await (const chunk of (await streamOf(zip, inside)) as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= SIGNATURE_BYTES) break;
    }
    return bytes.subarray(0, SIGNATURE_BYTES);
  } catch {
    return new Uint8Array();
  } finally {
    zip.close();
  }
}

interface ListedZip {
  readonly listing: Listing;
  /** How many entries come again under the same name; the last of them counts, as it does for what unpacks. */
  readonly repeated: number;
  /** A name that does not say how it is written. */
  readonly guessed: string | undefined;
}

/** Everything in a zip file. @throws UserError `bad-archive`. */
export async function listZip(archive: string): Promise<ListedZip> {
  return readListing(archive).catch((cause: unknown) => {
    throw new UserError('bad-archive', `cannot read the zip file ${archive}: ${messageOf(cause)}`, { cause });
  });
}

async function readListing(archive: string): Promise<ListedZip> {
  const byName = new Map<string, Entry>();
  let repeated = 0;
  let guessed: string | undefined;
  // Names are decoded here: yauzl takes those without a flag for code page 437, which they seldom are.
  const zip = await openPromise(archive, { decodeStrings: false });
  for await (const entry of zip.eachEntry()) {
    const name = nameOf(entry);
    const wrong = validateFileName(name);
    if (wrong !== null) throw new Error(wrong);
    const isFolder = name.endsWith('/');
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    const file = parts.at(-1) ?? '';
    const folders = parts.slice(0, -1);
    const isSystem = folders.some((each) => systemFolder(each)) || systemFile(file) !== undefined;
    if (!isFolder && !isSystem && isPhotoName(file)) checkPhoto(entry, name);
    const sampleOf = file.lastIndexOf(SAMPLE_MARK);
    // `./cat/0.jpg` and `cat//0.jpg` are where `cat/0.jpg` is.
    const place = `${parts.join('/')}${isFolder ? '/' : ''}`;
    if (byName.has(place) && !isFolder) repeated++;
    if (!isSystem && isGuessed(entry)) guessed ??= name;
    byName.set(place, {
      parts: folders.length === 0 && sampleOf > 0 && !isFolder ? [file.slice(0, sampleOf), file] : parts,
      kind: isFolder ? 'folder' : isLink(entry) ? 'link in a zip file' : 'file',
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
  return {
    listing: { entries: [...byName.values()], firstBytes: ({ photo }) => firstBytesOf(photo) },
    repeated,
    guessed,
  };
}

/**
 * The name as its Unicode field has it, else in UTF-8 where a flag says so or the bytes are (macOS sets no flag), else in code page
 * 437, as APPNOTE.TXT has it; with `/` for `\`.
 */
function nameOf({ generalPurposeBitFlag, fileNameRaw, extraFields }: ArchiveEntry): string {
  const flags = isUtf8(fileNameRaw) ? generalPurposeBitFlag | UTF8_FLAG : generalPurposeBitFlag & ~UTF8_FLAG;
  return getFileNameLowLevel(flags, fileNameRaw, extraFields, false);
}

/** Whether nothing tells how a name is written. */
function isGuessed({ fileNameRaw, extraFields }: ArchiveEntry): boolean {
  return !isUtf8(fileNameRaw) && !extraFields.some(({ id }) => id === UNICODE_NAME);
}

/** The field of Info-ZIP's that has a name in UTF-8. */
const UNICODE_NAME = 0x7075;
const UTF8_FLAG = 0x800;
/** Systems that made an archive, and the type of a file in Unix's mode. */
const MADE_BY_UNIX = 3;
const MADE_BY_MACOS = 19;
const TYPE_MASK = 0xf000;
const TYPE_LINK = 0xa000;

function isLink({ versionMadeBy, externalFileAttributes }: ArchiveEntry): boolean {
  const system = versionMadeBy >>> 8;
  if (system !== MADE_BY_UNIX && system !== MADE_BY_MACOS) return false;
  return ((externalFileAttributes >>> 16) & TYPE_MASK) === TYPE_LINK;
}

/** Throws an `Error` for what cannot be read, or should not be. */
function checkPhoto(entry: ArchiveEntry, name: string): void {
  if (!entry.canDecodeFileData())
    throw new Error(`"${name}" is encrypted, or compressed in another way than zip files usually are`);
  if (entry.uncompressedSize > LARGEST_PHOTO_BYTES)
    throw new Error(`"${name}" unpacks to ${Math.round(entry.uncompressedSize / 1e6)} MB, too much for a photo`);
}
