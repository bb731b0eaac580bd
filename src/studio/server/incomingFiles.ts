import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { freeBytesOf, SPARE_BYTES } from '../../disk.js';
import { UserError } from '../../errors.js';
import { fileErrorCode, isFolderItself, writeFailed } from '../../files.js';
import { isOwnFolder, mark } from '../../marker.js';
import { visible } from '../../text.js';

/** The folder among the photos in which files arrive; what begins with a dot is no class. */
export const INCOMING = '.ort-tl-incoming';
/** What nobody has written to for so long was left by a process that was killed. */
const ABANDONED_MS = 3_600_000;
/** After so many bytes the room on the disk is looked at again. */
const LOOK_EVERY = 64 * 2 ** 20;

export interface ArrivingFile {
  /** What it is called, for errors. */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
  /** How many bytes it says that it has. */
  readonly bytes?: number | undefined;
  /** The most that it may have, and what it is for errors. */
  readonly most: number;
  readonly what: string;
  /** How many times it must fit onto the disk; default once. */
  readonly copies?: number;
}

/** Files on their way to the photos. They arrive beside the photos, on the same disk, and are moved to their place when they are whole. */
export class IncomingFiles {
  private readonly folder: string;

  /** @param root the folder of photos. */
  constructor(private readonly root: string) {
    this.folder = join(root, INCOMING);
  }

  /** Removes what killed processes have left. */
  async removeAbandoned(): Promise<void> {
    if (!isOwnFolder(this.folder, 'incoming')) return;
    for (const name of await readdir(this.folder)) {
      if (name.startsWith('.')) continue;
      const path = join(this.folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(path, { force: true }).catch(() => undefined);
    }
  }

  /**
   * Receives a file, has `use` look at it where it lies, and removes it then, unless it was moved.
   * @throws UserError `too-large`, `cut-off` where not all arrives, `write-failed`.
   */
  async receive<Result>(file: ArrivingFile, use: (path: string, bytes: number) => Promise<Result>): Promise<Result> {
    checkSize(file, file.bytes ?? 0);
    this.checkRoom(file, file.bytes ?? 0);
    const path = join(this.folder, `${randomBytes(12).toString('hex')}${file.what === 'zip file' ? '.zip' : ''}`);
    try {
      await this.makeFolder();
      return await use(path, await this.write(path, file));
    } finally {
      await rm(path, { force: true }).catch(() => undefined);
    }
  }

  private async makeFolder(): Promise<void> {
    try {
      await mkdir(this.folder);
      mark(this.folder, 'incoming');
    } catch (thrown) {
      if (fileErrorCode(thrown) !== 'EEXIST')
        throw thrown instanceof UserError ? thrown : writeFailed(this.root, thrown);
      // A link could lead anywhere.
      if (!isFolderItself(this.folder))
        throw new UserError('write-failed', `cannot write into ${this.folder}: it is no folder; take it away`);
    }
  }

  /** Writes what arrives, and gives how many bytes it was. */
  private async write(path: string, file: ArrivingFile): Promise<number> {
    const written = await open(path, 'wx').catch((cause: unknown) => {
      throw writeFailed(this.root, cause);
    });
    try {
      let total = 0;
      let looked = 0;
      for await (const chunk of arriving(file)) {
        total += chunk.length;
        checkSize(file, total);
        if (total - looked > LOOK_EVERY) {
          looked = total;
          this.checkRoom(file, 0);
        }
        await onDisk(this.root, () => written.writeFile(chunk));
      }
      if (file.bytes !== undefined && total !== file.bytes) throw cutOff(file);
      await onDisk(this.root, () => written.sync());
      return total;
    } finally {
      await written.close();
    }
  }

  /** @throws UserError `write-failed` where the folder has gone. */
  private freeBytes(): number {
    try {
      return freeBytesOf(this.root);
    } catch (cause) {
      throw writeFailed(this.root, cause);
    }
  }

  /** @throws UserError `write-failed` where what is still to come would fill the disk. */
  private checkRoom({ name, copies = 1 }: ArrivingFile, bytes: number): void {
    const needed = bytes * copies + (copies > 1 ? SPARE_BYTES : 0);
    const free = this.freeBytes();
    if (needed > free)
      throw new UserError(
        'write-failed',
        `there is no room for ${visible(name)} on the disk of ${this.root}: it takes ${megabytes(needed)}, and ${megabytes(free)} are free; free some space`,
      );
  }
}

/** What arrives of a file. @throws UserError `cut-off`. */
async function* arriving(file: ArrivingFile): AsyncGenerator<Uint8Array> {
  try {
    yield* file.body;
  } catch (cause) {
    throw cutOff(file, cause);
  }
}

/** @throws UserError `write-failed`. */
async function onDisk(root: string, work: () => Promise<void>): Promise<void> {
  await work().catch((cause: unknown) => {
    throw writeFailed(root, cause);
  });
}

/** @throws UserError `too-large`. */
export function checkSize({ name, most, what }: Pick<ArrivingFile, 'name' | 'most' | 'what'>, bytes: number): void {
  if (bytes > most)
    throw new UserError(
      'too-large',
      `${visible(name)} is too large: a ${what} may have up to ${megabytes(most)} here; ${what === 'zip file' ? 'unpack it, and add its folders' : "put it into its class's folder yourself"}`,
    );
}

function cutOff({ name }: ArrivingFile, cause?: unknown): UserError {
  return new UserError('cut-off', `${visible(name)} has not arrived whole; send it again`, { cause });
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en-US')} MB`;
