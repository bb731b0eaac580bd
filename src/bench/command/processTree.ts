import { readdirSync, readFileSync } from 'node:fs';

/** The process and all that it started, as far as they still belong to it. Empty where the system does not tell. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const each of tree) tree.push(...childrenOf(each));
  return tree;
}

/** Threads have children of their own; one that ended is no error. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      (read(`/proc/${pid}/task/${thread}/children`) ?? '').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** Whether a process that a shell has forked is still its copy, which takes signals as the shell does: it has not begun its program. */
export function isCopyOf(pid: number, shell: number): boolean {
  const [own, its] = [pid, shell].map((each) => read(`/proc/${each}/cmdline`));
  return own !== undefined && own === its;
}

/** What a process keeps in memory, now and at most so far, in bytes. Undefined when it has ended. */
export function memoryOf(pid: number): { readonly nowBytes: number; readonly peakBytes: number } | undefined {
  const status = read(`/proc/${pid}/status`);
  const bytes = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status ?? '')?.[1] ?? NaN);
  const [nowBytes, peakBytes] = [bytes('VmRSS'), bytes('VmHWM')];
  return peakBytes > 0 ? { nowBytes, peakBytes } : undefined;
}

/** The kernel counts for user space in hundredths of a second, whatever its timer (USER_HZ, man 5 proc). */
const TICKS_A_SECOND = 100;

/** CPU seconds of the children that `pid` waited for, and of theirs. */
export function childSeconds(pid: number): { readonly user: number; readonly system: number } | undefined {
  // The name in parentheses may hold anything; cutime and cstime are the 14th and 15th field behind it (man 5 proc_pid_stat).
  const fields = read(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ') ?? [];
  const [user, system] = [Number(fields[13]), Number(fields[14])];
  if (!Number.isFinite(user) || !Number.isFinite(system)) return undefined;
  return { user: user / TICKS_A_SECOND, system: system / TICKS_A_SECOND };
}

/** Bytes that `pid` and the children that it waited for had from and gave to storage: what the page cache serves is not in it. */
export function storageBytes(pid: number): { readonly read: number; readonly written: number } | undefined {
  const io = read(`/proc/${pid}/io`);
  const bytes = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io ?? '')?.[1] ?? NaN);
  const [readBytes, written] = [bytes('read_bytes'), bytes('write_bytes')];
  return Number.isFinite(readBytes) && Number.isFinite(written) ? { read: readBytes, written } : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
