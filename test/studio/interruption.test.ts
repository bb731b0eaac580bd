import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import type { Job } from '../../src/studio/api.js';
import { main } from '../cli/cli.js';
import { SMALL_CNN } from '../models.js';
import { folder, runsFolder } from './studio.js';

const LONG = 5000;

/** The command in a process group of its own, as a shell starts it, and the address that it prints. */
async function started(words: readonly string[]) {
  const child = spawn(process.execPath, [main, 'studio', '--no-open', '--port', '0', '--json', ...words], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += line;
    if (line === '}') break;
  }
  return { child, url: new URL((JSON.parse(text) as { url: string }).url) };
}

/** A studio that trains, and has finished epochs. */
async function training() {
  const [data, runs] = [folder(), runsFolder()];
  await drawPictures(data, { set: 'demo', trainPerClass: 12, valPerClass: 4, size: 48, seed: 2 });
  const { child, url } = await started(['--data', data, '--runs', runs, '--model', SMALL_CNN, '--cache', folder()]);
  const answer = await fetch(new URL('/api/jobs', url), {
    method: 'POST',
    headers: { Authorization: `Bearer ${url.searchParams.get('token') ?? ''}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ kind: 'train', policy: 'F1C0', epochs: LONG }),
  });
  const run = join(runs, ((await answer.json()) as Job).run ?? '');
  const table = join(run, 'results.csv');
  await expect
    .poll(() => (existsSync(table) ? readFileSync(table, 'utf8').split('\n').length : 0), { timeout: 60_000 })
    .toBeGreaterThan(3);
  return { child, run };
}

function expectSaved(run: string): void {
  const { stopped, epochs } = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8')) as Record<string, unknown>;
  expect([stopped, Number(epochs) < LONG]).toEqual([true, true]);
}

describe.skipIf(process.platform === 'win32')('a training of the studio', () => {
  it('saves on Ctrl-C in a terminal, which goes to all processes of the command, and leaves no lock', async () => {
    const { child, run } = await training();
    process.kill(-(child.pid ?? 0), 'SIGINT');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(130);
    expectSaved(run);
    expect(existsSync(join(run, '.ort-tl.lock'))).toBe(false);
  });

  it('saves what it has learned when the studio is killed', async () => {
    const { child, run } = await training();
    child.kill('SIGKILL');
    await expect
      .poll(() => existsSync(join(run, 'summary.json')) && !existsSync(join(run, '.ort-tl.lock')), { timeout: 15_000 })
      .toBe(true);
    expectSaved(run);
  });
});
