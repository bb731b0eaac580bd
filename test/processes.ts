import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A module of the built package, as a string of a script. */
export const built = (name: string): string => JSON.stringify(new URL(`../dist/${name}.js`, import.meta.url).href);

const scripts = mkdtempSync(join(tmpdir(), 'ort-tl-scripts-'));
let written = 0;

/** Runs a script that says a line when it has come so far, and gives the process then. */
export async function startScript(script: string, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  // In a file, since threads would be given what stands on the command line.
  const path = join(scripts, `${++written}.mjs`);
  writeFileSync(path, script);
  const child = spawn(process.execPath, [path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const end = new Promise<void>((done) => child.once('exit', () => done()));
  await Promise.race([new Promise((said) => child.stdout.once('data', said)), end]);
  return child;
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) throw new Error(`it has ended already, by ${child.exitCode}`);
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
