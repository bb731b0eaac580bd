import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A module of the built package, as a string of a script. */
export const built = (name: string): string => JSON.stringify(new URL(`../dist/${name}.js`, import.meta.url).href);

/** Runs a script that says a line when it has come so far, and gives the process then. */
export async function startScript(script: string, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const end = new Promise<void>((done) => child.once('exit', () => done()));
  await Promise.race([new Promise((said) => child.stdout.once('data', said)), end]);
  return child;
}

export async function killed(child: ChildProcess): Promise<void> {
  const end = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await end;
}

/** Waits until something is so, which it is sooner or later. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((wake) => setTimeout(wake, 20));
}

/** Whether a process runs; one that ended and that nobody waited for does not. */
export function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
