/** The longest name of a file that disks take. */
const LONGEST_NAME = 255;
/** What would lie elsewhere on some system, or what its disks refuse. */
const FORBIDDEN = /[\p{Cc}\p{Cs}/\\:*?"<>|]/u;

/** Whether `name` from outside is one of a file in a folder of ours, and stays in it on every system. */
export function isSafeName(name: string): boolean {
  const bytes = Buffer.byteLength(name);
  return bytes > 0 && bytes <= LONGEST_NAME && !FORBIDDEN.test(name) && !/^\.{1,2}$|[. ]$/.test(name);
}

/** {@link isSafeName} of a path with slashes, each part of which is such a name. */
export const isSafePath = (path: string): boolean => path.split('/').every(isSafeName);
