import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { groupsOf, numberIn, textOf } from './controlGroups.js';

/** A user who may have more processes than this will hardly ever have them. */
const PLENTY = 4096;

/**
 * How many threads this process may still start, where Linux tells of a limit: of its control groups, and of its user (RLIMIT_NPROC).
 * `root` is the root of the file system.
 */
export function threadsLeft(root = '/'): number {
  const left = groupsOf('pids', root).map((folder) => {
    const [most, current] = [numberIn(join(folder, 'pids.max')), numberIn(join(folder, 'pids.current'))];
    return most === undefined || current === undefined ? Infinity : most - current;
  });
  return Math.min(leftOfUser(root), ...left);
}

function leftOfUser(root: string): number {
  const [, limit = ''] = /^Max processes\s+(\d+)/m.exec(textOf(join(root, 'proc/self/limits'))) ?? [];
  const [, own] = /^Uid:\s+(\d+)/m.exec(textOf(join(root, 'proc/self/status'))) ?? [];
  // Nothing limits the administrator.
  if (limit === '' || Number(limit) > PLENTY || own === undefined || own === '0') return Infinity;
  let threads = 0;
  for (const process of readdirSync(join(root, 'proc'))) {
    if (!/^\d+$/.test(process)) continue;
    const status = textOf(join(root, 'proc', process, 'status'));
    const [, user] = /^Uid:\s+(\d+)/m.exec(status) ?? [];
    if (user === own) threads += Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return Number(limit) - threads;
}
