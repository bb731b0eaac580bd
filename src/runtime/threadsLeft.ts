import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A user who may have more processes than this will hardly ever have them. */
const PLENTY = 4096;

/**
 * How many threads this process may still start, where Linux tells of a limit: of its control groups, and of its user (RLIMIT_NPROC).
 * `root` is the root of the file system.
 */
export function threadsLeft(root = '/'): number {
  return Math.min(leftOfGroups(root), leftOfUser(root));
}

/** See the kernel's admin-guide/cgroup-v1/pids.rst and cgroup-v2.rst: a group's limit counts for all groups inside it. */
function leftOfGroups(root: string): number {
  const lines = textOf(join(root, 'proc/self/cgroup')).split('\n');
  const groups = lines.flatMap((line): { mount: string; path: string }[] => {
    const [, controllers = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    if (controllers === '') return [{ mount: 'sys/fs/cgroup', path }];
    return controllers.split(',').includes('pids') ? [{ mount: 'sys/fs/cgroup/pids', path }] : [];
  });
  let left = Infinity;
  for (const { mount, path } of groups) {
    // Inside a container the group may be at the mount itself, whatever its name.
    for (let group = path; ; group = dirname(group)) {
      const folder = join(root, mount, group);
      const most = textOf(join(folder, 'pids.max')).trim();
      const current = textOf(join(folder, 'pids.current')).trim();
      if (/^\d+$/.test(most) && /^\d+$/.test(current)) left = Math.min(left, Number(most) - Number(current));
      if (group === '/' || group === '.') break;
    }
  }
  return left;
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

/** Empty where there is no such file, or it may not be read. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
