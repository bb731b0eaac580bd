import { totalmem } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { groupsOf, numberIn, textOf } from '../src/controlGroups.js';
import { memoryLimit } from '../src/memoryLimit.js';
import { threadsLeft } from '../src/threadsLeft.js';
import { fakeLinux } from './fakeLinux.js';

const V2 = '0::/box/inner\n';
/** Version 1 has a line for each controller, or for several that lie together, and one for version 2 beside them. */
const V1 = '9:name=systemd:/\n5:cpu,memory:/docker/abc\n3:pids:/docker/abc\n0::/\n';

describe('the control groups of this process', () => {
  it('are, of version 2, its own and those round it, the innermost first', () => {
    const root = fakeLinux({ 'proc/self/cgroup': V2 });
    const at = join(root, 'sys/fs/cgroup');
    expect(groupsOf('memory', root)).toEqual([join(at, 'box/inner'), join(at, 'box'), join(at, '/')]);
  });

  it('are, of version 1, those of the controller', () => {
    const root = fakeLinux({ 'proc/self/cgroup': V1 });
    const at = join(root, 'sys/fs/cgroup');
    expect(groupsOf('pids', root)).toEqual([
      ...['docker/abc', 'docker', '/'].map((group) => join(at, 'pids', group)),
      join(at, '/'),
    ]);
    expect(groupsOf('memory', root)[0]).toBe(join(at, 'memory/docker/abc'));
  });

  it('are none where there are none, as on other systems', () => {
    const root = fakeLinux({});
    expect(groupsOf('memory', root)).toEqual([]);
    expect([textOf(join(root, 'none')), numberIn(join(root, 'none'))]).toEqual(['', undefined]);
  });
});

describe('the memory that this process may take', () => {
  it('is that of the tightest group round it, and what is taken counts no files', () => {
    const root = fakeLinux({
      'proc/self/cgroup': V2,
      'sys/fs/cgroup/box/inner/memory.max': 'max\n',
      'sys/fs/cgroup/box/memory.max': '300000000\n',
      'sys/fs/cgroup/box/memory.stat': 'anon 123000000\nfile 170000000\nkernel 1000\n',
      'sys/fs/cgroup/memory.max': '400000000\n',
    });
    const limit = memoryLimit(root);
    expect([limit?.bytes, limit?.used()]).toEqual([300_000_000, 123_000_000]);
  });

  it('is, of version 1, what that calls so', () => {
    const root = fakeLinux({
      'proc/self/cgroup': '5:memory:/docker/abc\n',
      // Inside a container its group lies at the mount itself.
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '200000000\n',
      'sys/fs/cgroup/memory/memory.stat': 'cache 500\nrss 40\ntotal_cache 900\ntotal_rss 70000000\n',
    });
    const limit = memoryLimit(root);
    expect([limit?.bytes, limit?.used()]).toEqual([200_000_000, 70_000_000]);
  });

  it.each([
    ['nothing limits it', {}],
    ['the limit is more than there is', { 'sys/fs/cgroup/memory.max': `${2 * totalmem()}\n` }],
    ['the group may take all', { 'sys/fs/cgroup/memory.max': 'max\n' }],
  ])('is that of the machine where %s', (_, files) => {
    expect(memoryLimit(fakeLinux({ 'proc/self/cgroup': '0::/\n', ...files }))).toBeUndefined();
  });
});

describe('the threads that this process may still start', () => {
  const user = (uid: number, threads: number) =>
    `Name:\tnode\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nThreads:\t${threads}\n`;
  const limits = (most: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax processes             ${most}                9000                processes\n`;

  it('are as many as the fullest group round it lets it', () => {
    const root = fakeLinux({
      'proc/self/cgroup': V2,
      'sys/fs/cgroup/box/inner/pids.max': '100\n',
      'sys/fs/cgroup/box/inner/pids.current': '40\n',
      'sys/fs/cgroup/box/pids.max': '50\n',
      'sys/fs/cgroup/box/pids.current': '43\n',
      'sys/fs/cgroup/pids.max': 'max\n',
      'sys/fs/cgroup/pids.current': '5000\n',
    });
    expect(threadsLeft(root)).toBe(7);
  });

  it("are as many as the user's limit leaves, of whose processes each thread counts", () => {
    const root = fakeLinux({
      'proc/self/limits': limits('64'),
      'proc/self/status': user(1000, 11),
      'proc/10/status': user(1000, 11),
      'proc/11/status': user(1000, 20),
      'proc/12/status': user(7, 500),
      'proc/irq/status': user(1000, 500),
    });
    expect(threadsLeft(root)).toBe(64 - 31);
  });

  it.each([
    ['the administrator', limits('64'), user(0, 11)],
    ['a user without a limit', limits('unlimited'), user(1000, 11)],
    ['a user with a large one', limits('95000'), user(1000, 11)],
    ['a system that tells nothing', '', ''],
  ])('are no matter for %s', (_, limit, status) => {
    const files = { 'proc/self/limits': limit, 'proc/self/status': status, 'proc/10/status': status };
    expect(threadsLeft(fakeLinux(files))).toBe(Infinity);
  });
});
