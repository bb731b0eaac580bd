import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lockFolder } from '../../src/lock.js';
import type { Job } from '../../src/studio/api.js';
import { commandOf } from '../../src/studio/server/commandOf.js';
import { Exports } from '../../src/studio/server/exports.js';
import { Jobs } from '../../src/studio/server/jobs.js';
import { Runs } from '../../src/studio/server/runs.js';
import { codeOf, folder, noise, runsFolder, studioIn } from './studio.js';

const places = {
  model: '--model',
  data: '-photos',
  runFolder: (name: string) => `-runs/${name}`,
  newRun: () => '-runs/new',
  exportPath: () => '-runs/exports/a',
};

describe('a command', () => {
  it('takes nothing that it is told for a flag', () => {
    expect(commandOf({ kind: 'train', policy: '--help' }, places)).toEqual([
      ...['train', '--model=--model', '--data=-photos', '--policy=--help', '--out=-runs/new'],
    ]);
    expect(commandOf({ kind: 'resume', run: 'a' }, places)).toEqual(['train', '--resume=-runs/a']);
    expect(commandOf({ kind: 'export', run: 'a', form: 'delta' }, places)).toEqual([
      ...['export', './-runs/a', '--delta', '--out=-runs/exports/a'],
    ]);
  });
});

describe('a job', () => {
  it('that the system does not start fails, and the next one runs', async () => {
    const all = await new Promise<Job[]>((done) => {
      const ended: Job[] = [];
      const words = [['train', 'a\0b'], ['--version']];
      const jobs = new Jobs({
        commandOf: () => words.shift() ?? [],
        describeExport: () => Promise.reject(new Error('nothing is exported')),
        onChange: () => undefined,
        onEnd: (job) => {
          if (ended.push(job) === 2) done(ended);
        },
      });
      onTestFinished(() => jobs.close());
      jobs.add({ kind: 'recommend' });
      jobs.add({ kind: 'recommend' });
    });
    expect(all[0]).toMatchObject({ state: 'failed', message: expect.stringMatching(/null bytes/) as string });
    expect(all[1]?.message ?? '').not.toMatch(/null bytes/);
  });

  it('is not led to other files by what other programs call a flag', async () => {
    const { post } = await studioIn(folder());
    const flags = ['exist-ok', 'output-dir', 'save-dir', 'weights', 'checkpoint', 'dataset', 'data-dir', 'source'];
    for (const flag of [...flags, 'out', 'no-out', 'no-no-overwrite', 'config', 'resume', 'no-cache', 'help']) {
      const { status, body } = await post('/api/jobs', { kind: 'train', policy: 'F1C0', flags: { [flag]: true } });
      expect([flag, status, codeOf(body)]).toEqual([flag, 400, 'bad-arguments']);
    }
  });

  it('has no more flags than a training', async () => {
    const { post } = await studioIn(folder());
    const flags = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`f${index}`, 'x'.repeat(1000)]));
    const { status, body } = await post('/api/jobs', { kind: 'train', policy: 'F1C0', flags });
    expect([status, codeOf(body)]).toEqual([400, 'bad-request']);
  });

  it('has a folder that no other has, also where two studios of one project are asked at once', async () => {
    const [data, runs] = [folder(), runsFolder()];
    const request = { kind: 'train', policy: 'F1C0', epochs: 1 };
    const studios = [await studioIn(data, { runs }), await studioIn(data, { runs })];
    const asked = [...studios, ...studios].map(async ({ post }) => (await post('/api/jobs', request)).body as Job);
    const names = (await Promise.all(asked)).map(({ run }) => run);
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(existsSync(join(runs, name ?? ''))).toBe(true);
    for (const { studio } of studios) await studio.workshop.close();
    // They had no photos to train on, and leave nothing.
    expect(readdirSync(runs)).toEqual(['studio.json']);
  });

  it('is refused where many wait, and one that is stopped makes room for another', async () => {
    const { post, studio } = await studioIn(folder());
    const request = { kind: 'recommend' };
    const answers = [];
    for (let time = 0; time < 23; time++) answers.push(await post('/api/jobs', request));
    expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 21 }, () => 200), 429, 429]);
    expect(codeOf(answers.at(-1)?.body)).toBe('too-many-jobs');
    for (let time = 0; time < 60; time++) {
      const [last] = studio.workshop.jobs.list;
      await post('/api/jobs/stop', { id: last?.id });
      expect((await post('/api/jobs', request)).status).toBe(200);
    }
    // Nor are those kept that were stopped before they began.
    expect(studio.workshop.jobs.list.length).toBeLessThan(45);
  });
});

describe('a run', () => {
  it('is not deleted while it is trained', async () => {
    const runs = new Runs(folder());
    const run = join(runs.folder, 'first');
    mkdirSync(run);
    writeFileSync(join(run, 'args.yaml'), 'model: net.onnx\n');
    await runs.refresh();
    const lock = lockFolder(run, 'training F1C0');
    await expect(runs.remove('first')).rejects.toMatchObject({ code: 'folder-in-use' });
    expect(existsSync(run)).toBe(true);
    lock.release();
    await runs.remove('first');
    expect(existsSync(run)).toBe(false);
  });

  it('whose model is missing or broken is told of, and takes nothing with it', async () => {
    const { ask, studio, put, post } = await studioIn(folder());
    await post('/api/classes', { name: 'cat' });
    await put('cat', 'a.jpg', await noise(32));
    const run = join(studio.workshop.runs.folder, 'first');
    mkdirSync(run);
    writeFileSync(join(run, 'args.yaml'), 'model: net.onnx\n');
    await studio.workshop.runs.refresh();
    for (const content of [undefined, 'no model']) {
      if (content !== undefined) writeFileSync(join(run, 'model.onnx'), content);
      for (let time = 0; time < 2; time++) {
        const { status } = await ask('/api/heatmap?of=first&path=cat/a.jpg');
        expect(status).toBe(400);
      }
      expect((await ask('/api/try?of=first', { method: 'POST', body: new Uint8Array(await noise(8)) })).status).toBe(
        400,
      );
    }
    expect((await ask('/api/photos?class=cat')).status).toBe(200);
  });
});

/** All that a stream gives, as text. */
const whole = async (stream: ReadableStream) =>
  Buffer.from(await new Response(stream).arrayBuffer()).toString('latin1');

describe('an export', () => {
  const make = () => {
    const exports = folder();
    mkdirSync(join(exports, 'web'));
    for (const name of ['a.bin', 'b.bin']) writeFileSync(join(exports, 'web', name), Buffer.alloc(2 ** 20, name));
    return { exports: new Exports(exports), place: exports };
  };

  it('is a zip file with all its files', async () => {
    const text = await whole(await make().exports.zip('web'));
    expect(text).toMatch(/^PK\x03\x04/);
    for (const name of ['web/a.bin', 'web/b.bin']) expect(text.split(name)).toHaveLength(3);
  });

  it.skipIf(process.platform === 'win32')('is no link that leads elsewhere', async () => {
    const { exports, place } = make();
    const other = folder();
    writeFileSync(join(other, 'key'), 'secret');
    symlinkSync(other, join(place, 'link'));
    symlinkSync(join(other, 'key'), join(place, 'link.onnx'));
    for (const name of ['link', 'link.onnx', '..', '.', '../x', ''])
      await expect(exports.zip(name)).rejects.toMatchObject({ code: 'no-such-file' });
  });

  it('that loses a file on the way breaks off, and nothing else', async () => {
    const { exports, place } = make();
    const stream = await exports.zip('web');
    rmSync(join(place, 'web', 'b.bin'));
    await expect(whole(stream)).rejects.toThrow(/ENOENT/);
  });

  it.skipIf(!existsSync('/proc/self/fd'))('leaves no file open when whoever loads it leaves', async () => {
    const { exports, place } = make();
    for (let time = 0; time < 5; time++) {
      const reader = (await exports.zip('web')).getReader();
      await reader.read();
      await reader.cancel();
    }
    await expect.poll(() => openIn(place)).toBe(0);
  });
});

/** How many files in a folder this process has open. */
function openIn(place: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(place);
    } catch {
      return false;
    }
  }).length;
}
