import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MARK } from './family.js';
import type { Place } from './place.js';

/** The built command line, as a user runs it. */
export const main = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));

export interface Ending {
  /** As a shell tells it: 128 and the signal's number for a process that a signal ended. */
  readonly code: number;
  /** Of `performance.now()`. */
  readonly at: number;
}

/** A command that runs, or has run. */
export interface Running {
  readonly pid: number;
  readonly startedAt: number;
  readonly ended: Promise<Ending>;
  /** undefined while it runs. */
  readonly ending: () => Ending | undefined;
  readonly output: () => { readonly stdout: string; readonly stderr: string };
}

/** Starts ort-tl in a process group of its own, as a shell does; what it prints goes into files, which no process waits for. */
export function start(
  words: readonly string[],
  place: Place,
  mark: string,
  env: Readonly<Record<string, string>> = {},
): Running {
  // Of each command in its turn: a place that is kept has them all.
  const number = readdirSync(place.root).filter((name) => name.endsWith('.stdout')).length + 1;
  const paths = { stdout: join(place.root, `${number}.stdout`), stderr: join(place.root, `${number}.stderr`) };
  const [out, errors] = [openSync(paths.stdout, 'w'), openSync(paths.stderr, 'w')];
  const child = spawn(process.execPath, [main, ...words], {
    cwd: place.work,
    detached: true,
    stdio: ['ignore', out, errors],
    env: {
      ...process.env,
      [MARK]: mark,
      HOME: place.home,
      XDG_CACHE_HOME: '',
      TMPDIR: place.temporary,
      ORT_TL_CACHE: place.cache,
      NO_COLOR: '1',
      ...env,
    },
  });
  for (const file of [out, errors]) closeSync(file);
  const startedAt = performance.now();
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${process.execPath}`);
  let ending: Ending | undefined;
  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (code, signal) => {
      ending = { code: code ?? 128 + (signal ? constants.signals[signal] : 0), at: performance.now() };
      resolve(ending);
    });
  });
  const output = () => ({ stdout: readFileSync(paths.stdout, 'utf8'), stderr: readFileSync(paths.stderr, 'utf8') });
  return { pid, startedAt, ended, ending: () => ending, output };
}

/** Sends a signal to a process, or to its whole group as a terminal does; false where it has ended. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
