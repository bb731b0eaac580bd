import { readdirSync, readFileSync } from 'node:fs';

/** What every descendant of a process inherits from it, however it was started, and whoever its parent is by now. */
export const MARK = 'ORT_TL_KILL_TEST';

export interface Member {
  readonly pid: number;
  readonly command: string;
}

/** The processes that live and have `mark` in their environment. */
export function familyOf(mark: string): Member[] {
  const entry = `${MARK}=${mark}`;
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || !read(`/proc/${name}/environ`).split('\0').includes(entry)) return [];
    const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
    return [{ pid: Number(name), command }];
  });
}

/** USER_HZ, man 5 proc: the kernel counts time for user space in hundredths of a second, whatever its timer. */
const TICK_MS = 10;

/**
 * How long others kept a family from running, which is not its fault: its threads' time in the run queues (`schedstat`, which needs a
 * look while they live), as far as processes outside the family used the cores at the same time.
 */
export class Hindrance {
  /** Nanoseconds in run queues by process and thread, at first and at last. */
  private readonly queued = new Map<string, { readonly first: number; last: number }>();
  private readonly used = new Map<number, { readonly first: number; last: number }>();
  private readonly busyAtFirst = busyMs();
  private isFirstLook = true;

  constructor(private readonly mark: string) {
    this.look();
  }

  /** Gives the members that it found. */
  look(): Member[] {
    const members = familyOf(this.mark);
    for (const { pid } of members) {
      note(this.used, pid, cpuMs(pid), this.isFirstLook);
      for (const thread of threadsOf(pid)) {
        const queued = Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[1]);
        if (Number.isFinite(queued)) note(this.queued, `${pid}/${thread}`, queued, this.isFirstLook);
      }
    }
    this.isFirstLook = false;
    return members;
  }

  get ms(): number {
    const queued = total(this.queued) / 1e6;
    const others = busyMs() - this.busyAtFirst - total(this.used);
    return Math.max(0, Math.min(queued, others));
  }
}

function note<Key>(
  counts: Map<Key, { readonly first: number; last: number }>,
  key: Key,
  now: number,
  isFirstLook: boolean,
): void {
  const known = counts.get(key);
  if (known) known.last = now;
  // What was not there at first has begun to count since.
  else counts.set(key, { first: isFirstLook ? now : 0, last: now });
}

function total(counts: ReadonlyMap<unknown, { readonly first: number; readonly last: number }>): number {
  return [...counts.values()].reduce((sum, { first, last }) => sum + last - first, 0);
}

/** Milliseconds that all cores were not idle, what the machine below us took included (man 5 proc_stat). */
function busyMs(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = read('/proc/stat')
    .split('\n', 1)
    .join('')
    .split(/ +/)
    .slice(1)
    .map(Number);
  return TICK_MS * (user + nice + system + irq + softirq + steal);
}

/** User and system time of a process (man 5 proc_pid_stat, the 14th and 15th field). */
function cpuMs(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return TICK_MS * (Number(fields[11] ?? 0) + Number(fields[12] ?? 0));
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Nothing where the process has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
