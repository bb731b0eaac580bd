import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isFolderItself, writeFailed } from '../../files.js';

/** What a bin has, as far as it was put there by the studio: folders of certain names. */
export class BinContents {
  /** An entry does not change, unless {@link forget} says so. */
  private readonly sizes = new Map<string, number>();

  /** @param own how the studio's entries are called; whatever else lies there is somebody's. */
  constructor(
    private readonly folder: string,
    private readonly own: RegExp,
  ) {}

  async names(): Promise<string[]> {
    const names = isFolderItself(this.folder) ? await readdir(this.folder) : [];
    return names.filter((name) => this.own.test(name) && isFolderItself(join(this.folder, name)));
  }

  async bytes(): Promise<number> {
    let sum = 0;
    for (const name of await this.names()) {
      const bytes = this.sizes.get(name) ?? (await bytesIn(join(this.folder, name)));
      this.sizes.set(name, bytes);
      sum += bytes;
    }
    return sum;
  }

  /** An entry has changed. */
  forget(name: string): void {
    this.sizes.delete(name);
  }

  /** Removes all for good, and gives how many bytes that were. @throws UserError `write-failed`. */
  async empty(): Promise<number> {
    const bytes = await this.bytes();
    try {
      for (const name of await this.names()) {
        this.forget(name);
        await rm(join(this.folder, name), { recursive: true, force: true });
      }
    } catch (cause) {
      throw writeFailed(this.folder, cause, 'empty');
    }
    return bytes;
  }
}

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  let sum = 0;
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const found = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined);
    sum += found?.size ?? 0;
  }
  return sum;
}
