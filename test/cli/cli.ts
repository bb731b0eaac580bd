import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { runCommand } from '../../src/cli/commands.js';
import { oneLine } from '../../src/cli/terminal.js';
import { inFlags } from '../../src/cli/wording.js';
import { UserError } from '../../src/errors.js';

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

/**
 * Runs the command in this process, in place of one of its own, which takes longer to start than most refusals: for a command that starts
 * nothing that outlives it.
 */
export async function cliHere(args: readonly string[], cwd = folder()): Promise<Outcome> {
  const [directory, argv] = [process.cwd(), process.argv];
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      printed[name] += String(chunk);
      return true;
    }),
  );
  process.chdir(cwd);
  process.argv = [process.execPath, main, ...args];
  try {
    await runCommand(args);
    return { status: Number(process.exitCode ?? 0), ...printed };
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return { status: 2, ...printed, stderr: `${printed.stderr}ort-tl: ${oneLine(inFlags(thrown.text))}\n` };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.chdir(directory);
    Object.assign(process, { argv, exitCode: undefined });
  }
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
