import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import type { Job, JobRequest } from '../../src/studio/api.js';
import { commandOf, shellLine } from '../../src/studio/server/commandOf.js';
import { Exports } from '../../src/studio/server/exports.js';
import { Jobs } from '../../src/studio/server/jobs.js';
import { Runs } from '../../src/studio/server/runs.js';
import { SMALL_CNN } from '../models.js';

const work = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const data = join(work, 'photos');
const folder = join(work, 'runs');
const exports = new Exports(join(folder, 'exports'));
let open: Jobs | undefined;
let shown: readonly Job[] = [];
let count = 0;

beforeAll(async () => {
  await drawPictures(data, { set: 'demo', trainPerClass: 24, valPerClass: 6, size: 48, seed: 2 });
});
afterEach(() => open?.close());

function openJobs(onEnd: (job: Job) => void = () => undefined): Jobs {
  const places = {
    model: SMALL_CNN,
    data,
    runFolder: (name: string) => join(folder, name),
    newRun: (policy: string) => join(folder, `${++count}-${policy}`),
    exportPath: (run: string, form: Parameters<Exports['pathOf']>[1]) => exports.pathOf(run, form),
  };
  return (open = new Jobs({
    commandOf: (request) => commandOf(request, places),
    describeExport: (out) => exports.describe(out),
    onChange: (jobs) => (shown = jobs),
    onEnd,
  }));
}

/** Asks for jobs, and gives them when they have ended, in the order in which they did. */
function ended(...requests: JobRequest[]): Promise<Job[]> {
  return new Promise((done) => {
    const all: Job[] = [];
    const jobs = openJobs((job) => {
      all.push(job);
      if (all.length === requests.length) done(all);
    });
    for (const request of requests) jobs.add(request);
  });
}

const training = { kind: 'train', policy: 'F1C0', epochs: 2, flags: { threads: 1, lr: 0.01 } } as const;

describe('jobs', () => {
  it('runs one after another: a training whose epochs are told, an export of it that can be downloaded', async () => {
    const [train, exported] = await ended(training, { kind: 'export', run: '1-F1C0', form: 'int8' });
    expect(train).toMatchObject({ kind: 'train', state: 'done', run: '1-F1C0', epochs: 2 });
    expect(train?.results?.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(train?.command).toBe(
      `npx ort-tl train --model ${SMALL_CNN} --data ${data} --policy F1C0 --epochs 2 --threads=1 --lr=0.01 --out ${join(folder, '1-F1C0')}`,
    );
    expect(exported).toMatchObject({ state: 'done', exported: { name: '1-F1C0-int8.onnx' } });
    const { bytes = 0, agreement = 0, top1 } = exported?.exported ?? {};
    expect(bytes).toBe(readFileSync(exports.pathOf('1-F1C0', 'int8')).length);
    expect(agreement).toBeGreaterThan(0.5);
    expect(top1).toBeGreaterThan(0);
    const runs = new Runs(folder);
    expect(await runs.refresh()).toBe(true);
    expect(runs.list).toMatchObject([{ name: '1-F1C0', policy: 'F1C0', epochs: 2, stopped: false, notes: '' }]);
    const details = await runs.details('1-F1C0');
    expect(details.results).toEqual(train?.results);
    expect(details.classes.map(({ name }) => name)).toEqual(['boat', 'cup', 'fish', 'flower', 'house', 'tree']);
    expect(details.command).toBe(`npx ort-tl train --config ${join(folder, '1-F1C0', 'args.yaml')}`);
  });

  it('says in one line why a job failed, and goes on with the next', async () => {
    const [failed, next] = await ended({ ...training, policy: 'F9C99' }, { kind: 'recommend' });
    expect(failed?.state).toBe('failed');
    expect(failed?.message).toMatch(/F9C99/);
    expect(failed?.message).not.toMatch(/\n|^ort-tl/);
    expect(next).toMatchObject({ state: 'done', kind: 'recommend' });
    expect(next?.recommendation?.policies.length).toBeGreaterThan(1);
  });

  it('stops a training, which saves what it has learned and can go on', async () => {
    const stopped = await new Promise<Job>((done) => {
      const jobs = openJobs(done);
      const { id } = jobs.add({ ...training, epochs: 5000 });
      const timer = setInterval(() => {
        if ((shown.find((job) => job.id === id)?.results?.length ?? 0) < 3) return;
        clearInterval(timer);
        expect(jobs.stop(id).state).toBe('stopping');
      }, 20);
    });
    expect(stopped).toMatchObject({ state: 'stopped' });
    expect(existsSync(join(folder, stopped.run ?? '', 'last'))).toBe(true);
  });

  it('stops one that waits before it begins', () => {
    const jobs = openJobs();
    jobs.add({ ...training, epochs: 5000 });
    const { id } = jobs.add(training);
    expect(jobs.stop(id).state).toBe('stopped');
    expect(() => jobs.stop('77')).toThrow('there is no job 77');
  });
});

describe('a command as a line', () => {
  it('is quoted where a shell would read more than a word', () => {
    expect(shellLine(['npx', 'ort-tl', 'train', '--data', "it's a $(trap)"])).toBe(
      `npx ort-tl train --data 'it'\\''s a $(trap)'`,
    );
  });
});
