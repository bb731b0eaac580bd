import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../src/temporary.js';
import { built, killed, startScript } from './processes.js';

let at: string;
beforeEach(() => {
  at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  vi.stubEnv('TMPDIR', at);
});
afterEach(() => vi.unstubAllEnvs());

const making = (rest: string) => `
  import { writeFileSync } from 'node:fs';
  import { join } from 'node:path';
  import { temporaryFolder } from ${built('temporary')};
  writeFileSync(join(temporaryFolder().path, 'model.ort'), 'some');
  console.log('made');
  ${rest}`;

it('makes a folder, and removes it with all that it holds', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder.path, 'some'));
  writeFileSync(join(folder.path, 'some', 'file'), '');
  expect(readdirSync(at)).toHaveLength(1);
  await folder.remove();
  expect(readdirSync(at)).toEqual([]);
});

it('leaves nothing when the process exits', async () => {
  const child = await startScript(making('process.exit(1);'), { TMPDIR: at });
  if (child.exitCode === null) await new Promise((done) => child.once('exit', done));
  expect(readdirSync(at)).toEqual([]);
});

it('removes what a killed process has left, and neither what a living one has nor what is not its own', async () => {
  const stay = 'setInterval(() => undefined, 1000);';
  const [dead, living] = [
    await startScript(making(stay), { TMPDIR: at }),
    await startScript(making(stay), { TMPDIR: at }),
  ];
  await killed(dead);
  const names = readdirSync(at);
  expect(names).toHaveLength(2);
  // Named alike, with a lock of a process that is gone: a run in the folder for temporary files.
  const run = join(at, 'ort-tl-mine');
  mkdirSync(run);
  writeFileSync(join(run, '.ort-tl.lock'), '{}');
  writeFileSync(join(run, 'model.onnx'), 'mine');
  const folder = temporaryFolder();
  const left = readdirSync(at);
  expect(left).toHaveLength(3);
  expect(left.filter((name) => names.includes(name))).toHaveLength(1);
  expect(existsSync(join(run, 'model.onnx'))).toBe(true);
  await folder.remove();
  await killed(living);
});

it('says what to do where there can be none', () => {
  vi.stubEnv('TMPDIR', join(at, 'nowhere'));
  expect(() => temporaryFolder()).toThrow(
    `cannot write into ${join(at, 'nowhere')}, the folder for temporary files: ENOENT: no such file or directory; free some space, or name another (TMPDIR)`,
  );
});
