import { totalmem } from 'node:os';
import { join } from 'node:path';
import { groupsOf, numberIn, textOf } from './controlGroups.js';

/** What a control group of this process may take, where it is the tightest. */
export interface MemoryLimit {
  readonly bytes: number;
  /** What its processes take now that no disk could give back. */
  used(): number;
}

/**
 * The memory that the container of this process, or whatever control group Linux has put it in, may take; undefined where that is no less
 * than the machine has. `root` is the root of the file system.
 */
export function memoryLimit(root = '/'): MemoryLimit | undefined {
  let tightest: { bytes: number; folder: string } | undefined;
  for (const folder of groupsOf('memory', root)) {
    const bytes = numberIn(join(folder, 'memory.max')) ?? numberIn(join(folder, 'memory.limit_in_bytes'));
    if (bytes !== undefined && bytes < (tightest?.bytes ?? totalmem())) tightest = { bytes, folder };
  }
  if (!tightest) return undefined;
  const { bytes, folder } = tightest;
  return {
    bytes,
    used: () => {
      const statistics = textOf(join(folder, 'memory.stat'));
      const [, used = '0'] = /^(?:anon|total_rss) (\d+)/m.exec(statistics) ?? [];
      return Number(used);
    },
  };
}

/** The memory that there is for this process, in bytes. */
export function memoryBytes(): number {
  return memoryLimit()?.bytes ?? totalmem();
}
