import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { fileErrorCode } from './files.js';

/** What tells a process from all others, those before it and those elsewhere too; null is what this system does not say. */
export const processIdentitySchema = z.object({
  pid: z.number().int(),
  /** When it started, in ticks since the machine did. */
  start: z.string().nullable(),
  /** The machine's start. */
  boot: z.string().nullable(),
  /** Where its number counts: containers have numbers of their own. */
  namespace: z.string().nullable(),
  host: z.string(),
});
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, start: statOf(process.pid)?.start ?? null, ...place() };
}

/** Whether a process has ended; undefined where that cannot be told from here: it is, or was, on another machine or in another container. */
export function hasEnded({ pid, start, boot, namespace, host }: ProcessIdentity): boolean | undefined {
  const here = place();
  if (host !== here.host || boot !== here.boot || namespace !== here.namespace) return undefined;
  const stat = statOf(pid);
  // One that ended and was not waited for still has its number.
  if (stat) return /^[ZX]$/.test(stat.state) || (start !== null && stat.start !== start);
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return fileErrorCode(thrown) === 'ESRCH';
  }
}

function place(): Pick<ProcessIdentity, 'boot' | 'namespace' | 'host'> {
  return {
    boot: told(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: told(() => readlinkSync('/proc/self/ns/pid')),
    host: hostname(),
  };
}

/** The state and the start of a process; undefined where the system does not tell. */
function statOf(pid: number): { readonly state: string; readonly start: string } | undefined {
  // The name in parentheses may hold anything; behind it stand the state, third of the fields, and the start, the 22nd (man 5 proc_pid_stat).
  const fields = told(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
    ?.split(') ')
    .at(-1)
    ?.split(' ');
  const [state, start] = [fields?.[0], fields?.[19]];
  return state === undefined || start === undefined ? undefined : { state, start };
}

function told(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
