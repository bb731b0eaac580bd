import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';

/** Files by what they are, however their paths are written. */
export class ListedFiles {
  /** Device and number of a file → the path that named it first. */
  private readonly known = new Map<string, { readonly path: string; real?: string }>();

  /** The file of a list in `folder`; undefined where there is none. */
  async find(folder: string, path: string): Promise<{ readonly key: string; readonly path: string } | undefined> {
    for (const written of writings(path)) {
      const file = resolve(folder, written);
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      if (!found?.isFile()) continue;
      const key = `${found.dev}:${found.ino}`;
      const first = this.known.get(key);
      if (!first) this.known.set(key, { path: file });
      else if (first.path !== file && found.nlink === 1n) {
        // Some file systems give numbers that are none.
        first.real ??= await realpath(first.path);
        const real = await realpath(file);
        if (real !== first.real) return { key: real, path: file };
      }
      return { key, path: file };
    }
    return undefined;
  }
}

/** A path as it is, as Windows would have written it, and in both forms of Unicode, since some systems change it. */
function writings(path: string): string[] {
  const slashes = path.replaceAll('\\', '/');
  return [...new Set([path, path.normalize('NFC'), path.normalize('NFD'), slashes, slashes.normalize('NFC')])];
}
