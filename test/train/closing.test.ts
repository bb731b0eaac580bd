import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';

const library = new URL('../../dist/index.js', import.meta.url).href;
/** A process that something holds alive never ends. */
const LONGEST_MS = 240_000;

let pictures: string;
beforeAll(async () => {
  pictures = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 8, valPerClass: 3, size: 48, seed: 5 });
});

/** Runs a program that has the library as `ortTl`, a model, a data set, and `newFolder`. Gives its exit code, and the lines that it has printed. */
function run(program: string): Promise<{ code: number | null; lines: string[] }> {
  const source = `
    import { mkdtempSync } from 'node:fs';
    import { tmpdir } from 'node:os';
    import { join } from 'node:path';
    import * as ortTl from ${JSON.stringify(library)};
    const model = ortTl.readModel(${JSON.stringify(SMALL_CNN)});
    const dataset = await ortTl.openDataset(${JSON.stringify(pictures)}, { seed: 0 });
    const newFolder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
    ${program}`;
  const file = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'program.mjs');
  writeFileSync(file, source);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
    let printed = '';
    child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, lines: printed.trim().split('\n') });
    });
  });
}

describe('a program that looks no longer at what goes on', () => {
  it('ends when it breaks out of a training, at whatever event', async () => {
    const { code, lines } = await run(`
      const kindOf = (event) => event.phase ?? event.type;
      const kinds = ['calibrating', 'reading photos', 'looking for a learning rate', 'training', 'evaluating', 'epoch', 'verifying'];
      const options = {
        model, dataset, policy: 'F1C1', frozen: 'int8', calibration: { photos: 4 }, learningRate: 'auto', epochs: 1, batch: 8, threads: 1,
      };
      for (const kind of kinds) {
        for await (const event of new ortTl.Trainer({ ...options, out: newFolder() })) {
          if (kindOf(event) !== kind) continue;
          console.log(kind);
          break;
        }
      }`);
    expect(lines).toHaveLength(7);
    expect(code).toBe(0);
  });

  it('ends when it breaks out of a recommendation, at whatever event', async () => {
    const { code, lines } = await run(`
      const kinds = ['measuring', 'measured', 'reading photos', 'trained'];
      for (const kind of kinds) {
        for await (const event of ortTl.recommend({ model, dataset, epochs: 2, batch: 8, policies: ['F1C0', 'F1C1'], threads: 1 })) {
          if ((event.phase ?? event.type) !== kind) continue;
          console.log(kind);
          break;
        }
      }`);
    expect(lines).toEqual(['measuring', 'measured', 'reading photos', 'trained']);
    expect(code).toBe(0);
  });
});

describe('a recommendation', () => {
  it.each([
    ['is stopped', 'start: async () => { controller.abort(); }, stop: async () => ({})', 'stopped'],
    ['fails', "start: async () => {}, stop: async () => { throw new Error('no counter'); }", 'no counter'],
  ])('that %s while a policy is measured lets the process end, and closes its meter', async (_, meter, reason) => {
    const { code, lines } = await run(`
      const controller = new AbortController();
      const meter = { name: 'a meter', sources: ['estimate'], close: () => console.log('closed'), ${meter} };
      const { signal } = controller;
      try {
        for await (const event of ortTl.recommend({ model, dataset, epochs: 2, batch: 8, threads: 1, meter, signal }));
      } catch (thrown) {
        console.log(thrown.code ?? thrown.message);
      }`);
    expect(lines).toEqual(['closed', reason]);
    expect(code).toBe(0);
  });

  it('that is stopped before it began throws so', async () => {
    const { code, lines } = await run(`
      try {
        for await (const event of ortTl.recommend({ model, dataset, signal: AbortSignal.abort() }));
      } catch (thrown) {
        console.log(thrown.code);
      }`);
    expect(lines).toEqual(['stopped']);
    expect(code).toBe(0);
  });
});
