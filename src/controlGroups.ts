import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The folders of the control groups that this process is in and that count `controller`, and of those round them, the innermost first.
 * See the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst. `root` is the root of the file system.
 */
export function groupsOf(controller: 'pids' | 'memory', root = '/'): string[] {
  const lines = textOf(join(root, 'proc/self/cgroup')).split('\n');
  return lines.flatMap((line) => {
    const [, controllers = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined || (controllers !== '' && !controllers.split(',').includes(controller))) return [];
    const mount = join(root, 'sys/fs/cgroup', controllers === '' ? '' : controller);
    const folders: string[] = [];
    // Inside a container a group may lie at the mount itself, whatever its path is outside.
    for (let group = path; ; group = dirname(group)) {
      folders.push(join(mount, group));
      if (group === '/' || group === '.') return folders;
    }
  });
}

/** A file's content, empty where there is no such file, or it may not be read. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The whole number that a file holds; undefined where it holds another word, such as `max`. */
export function numberIn(path: string): number | undefined {
  const text = textOf(path).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
