import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

/** The built command line, as a user runs it. */
export const main = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));

export const folder = (): string => mkdtempSync(join(tmpdir(), 'ort-tl-'));

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function cli(args: readonly string[], cwd = folder()): Outcome {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd, timeout: 100_000 });
}

/** Expects exit code 2 and one line on standard error that `message` matches, but for lines about single photos. */
export function expectRefusal({ status, stderr }: Outcome, message: RegExp, what = ''): void {
  const lines = stderr
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('skipped: '));
  expect(lines, what).toHaveLength(1);
  expect(lines[0], what).toMatch(/^ort-tl: /);
  expect(lines[0], what).toMatch(message);
  expect(status, what).toBe(2);
}

/** Paths of all files below, sorted. */
export function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
