import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';

const PREFIX = 'work-';

/** The folder in which the suite of this process works. */
export const workFolder = (out: string): string => join(out, `${PREFIX}${process.pid}`);

/**
 * Removes what a suite that was killed left in `out`, and ends the training that it had begun, which would disturb what is measured next.
 * @throws UserError `suite-running` when a suite is at work there.
 */
export function clearWork(out: string): void {
  const names = readdirSync(out, { withFileTypes: true }).filter((each) => each.isDirectory());
  for (const { name } of names) {
    const pid = /^work-(\d+)$/.exec(name)?.[1];
    if (pid === undefined) continue;
    const folder = join(out, name);
    if (Number(pid) !== process.pid && isSuite(Number(pid)))
      throw new UserError(
        'suite-running',
        `process ${pid} is running a suite in ${out}; wait for it, or choose another folder (--out)`,
      );
    for (const orphan of processesOn(folder)) {
      try {
        process.kill(orphan, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether the process lives, and, where that can be told, is one that could run a suite: numbers are used again. */
function isSuite(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return process.platform !== 'linux' || argumentsOf(pid).includes('bench');
}

/** Processes that were called with a path within `folder`; none where there is no /proc. */
function processesOn(folder: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    return Number.isInteger(pid) && argumentsOf(pid).some((each) => each.includes(`${folder}/`)) ? [pid] : [];
  });
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
