import { isUtf8 } from 'node:buffer';

/** A file's name as text, where it is not UTF-8 with the bytes that are none as `\xe9`. */
export function shownName(name: Buffer): string {
  if (isUtf8(name)) return name.toString('utf8');
  let shown = '';
  for (let at = 0; at < name.length;) {
    const length = [1, 2, 3, 4].find((bytes) => at + bytes <= name.length && isUtf8(name.subarray(at, at + bytes)));
    shown +=
      length === undefined
        ? `\\x${(name[at] ?? 0).toString(16).padStart(2, '0')}`
        : name.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return shown;
}

/** A path as what Node.js opens it by: `rawPath` is its bytes as Latin-1, where they are not UTF-8. */
export function openablePath({ path, rawPath }: { readonly path: string; readonly rawPath?: string }): string | Buffer {
  return rawPath === undefined ? path : Buffer.from(rawPath, 'latin1');
}
