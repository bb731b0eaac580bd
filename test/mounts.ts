import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A small disk in memory, mounted for a test. */
export interface SmallDisk {
  readonly folder: string;
  /** Changes how many bytes it holds. */
  resize(bytes: number): void;
  makeReadOnly(): void;
  unmount(): void;
}

const mount = (...args: string[]) => spawnSync('mount', args, { encoding: 'utf8' });

/** undefined where this process may not mount: on other systems than Linux, and without the privilege. */
export function smallDisk(bytes: number): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-disk-'));
  if (mount('-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder).status !== 0) return undefined;
  const remount = (options: string) => {
    const { status, stderr } = mount('-o', `remount,${options}`, folder);
    if (status !== 0) throw new Error(stderr);
  };
  return {
    folder,
    resize: (size) => {
      remount(`size=${size}`);
    },
    makeReadOnly: () => {
      remount('ro');
    },
    unmount: () => spawnSync('umount', [folder]),
  };
}

export const NO_MOUNT = 'this process may not mount a file system';
