import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readLearned } from '../../src/export/run.js';
import { sha256 } from '../../src/files.js';
import { readModel } from '../../src/onnx/model.js';
import type { TrainEvent } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { checkRunFolder, makeNext, planNext, settleRun } from '../../src/train/runFiles.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN } from '../models.js';
import { built, killed, startScript, until } from '../processes.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

/** What a folder holds: each file's hash by its path. */
function contents(at: string): Record<string, string> {
  const files = readdirSync(at, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name).slice(at.length + 1));
  return Object.fromEntries(paths.sort().map((path) => [path, sha256(readFileSync(join(at, path)))]));
}

let pictures: string;
let dataset: Dataset;
/** A run of one epoch, which every test copies. */
let finished: string;
const options = (out: string, other: Partial<TrainOptions> = {}): TrainOptions => ({
  ...{ model: readModel(SMALL_CNN), dataset, policy: 'F1C0', epochs: 1, threads: 1, batch: 8, out, verify: 4 },
  ...other,
});
const copied = () => {
  const out = folder();
  cpSync(finished, out, { recursive: true });
  return out;
};
const train = (out: string, other: Partial<TrainOptions> = {}) => new Trainer(options(out, other)).run();

beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 48, seed: 5 });
  dataset = await ImageFolder.open(pictures, { seed: 0 });
  finished = folder();
  await train(finished);
  writeFileSync(join(finished, 'args.yaml'), 'epochs: 1\n');
});

describe('a run that is to replace another one', () => {
  const noFile = join(SMALL_CNN, 'below');
  it.each<[string, Partial<TrainOptions>, string]>([
    ['a policy with nothing to compute in whole numbers', { policy: 'full', frozen: 'int8' }, 'nothing-to-quantize'],
    ['a policy that the model has not', { policy: 'F9C0' }, 'bad-policy'],
    ['too little memory', { policy: 'full', memoryBytes: 1 }, 'too-little-memory'],
    ['a cache that cannot be', { cache: noFile }, 'cache-full'],
    ['a learning rate that ends in nothing', { learningRate: 1e30, policy: 'full' }, 'diverged'],
  ])('leaves that as it was when it is refused: %s', async (_, other, code) => {
    const out = copied();
    const before = contents(out);
    await expect(train(out, { ...other, overwrite: true })).rejects.toMatchObject({ code });
    expect(contents(out)).toEqual(before);
  });

  it('leaves that as it was when too many photos cannot be read', async () => {
    const out = copied();
    const before = contents(out);
    const bad = { ...dataset, train: dataset.train.map((photo) => ({ ...photo, path: SMALL_CNN })) };
    await expect(train(out, { dataset: bad, overwrite: true })).rejects.toMatchObject({ code: 'too-many-unreadable' });
    expect(contents(out)).toEqual(before);
  });

  it('leaves that as it was when it is stopped in its first epoch, and says so', async () => {
    const out = copied();
    const before = contents(out);
    const controller = new AbortController();
    const trainer = new Trainer(options(out, { policy: 'F1C1', overwrite: true, batch: 1, signal: controller.signal }));
    await expect(
      trainer.run((event) => {
        if (event.type === 'progress' && event.phase === 'training') controller.abort();
      }),
    ).rejects.toMatchObject({
      code: 'stopped',
      message: `stopped before the first epoch was finished; the run in ${out} is as it was`,
    });
    expect(trainer.holdsOldRun).toBe(true);
    expect(contents(out)).toEqual(before);
  });

  /** Begins to replace a run in a process of its own, which does `then` in the first epoch. */
  const begin = (out: string, then: string) =>
    startScript(`
      import { ImageFolder, readModel, Trainer } from ${built('index')};
      const dataset = await ImageFolder.open(${JSON.stringify(pictures)}, { seed: 0 });
      const model = readModel(${JSON.stringify(SMALL_CNN)});
      const options = { model, dataset, policy: 'F1C1', epochs: 1, batch: 1, threads: 1, overwrite: true };
      for await (const event of new Trainer({ ...options, out: ${JSON.stringify(out)} }))
        if (event.type === 'progress' && event.phase === 'training') {
          console.log('trains');
          ${then};
        }`);

  it('leaves that whole when it is killed in its first epoch, and the next one cleans up', async () => {
    const out = copied();
    const before = contents(out);
    await killed(await begin(out, 'await new Promise((done) => setTimeout(done, 60_000))'));
    expect(contents(out)).toMatchObject(before);
    expect(readLearned(out).manifest.policy).toBe('F1C0');
    // It goes on where it was.
    await train(out, { resume: true });
    expect(Object.keys(contents(out))).toEqual(Object.keys(before));
    expect(existsSync(join(out, '.ort-tl-next'))).toBe(false);
  });

  it('leaves that as it was when the process exits in its first epoch', async () => {
    const out = copied();
    const before = contents(out);
    const child = await begin(out, 'process.exit(1)');
    await until(() => child.exitCode !== null);
    expect(contents(out)).toEqual(before);
  });

  it('replaces that when its first epoch is finished, and leaves alone what a run does not write', async () => {
    const out = copied();
    const old = readFileSync(join(out, 'best', 'checkpoint.safetensors'));
    const mine = ['notes.txt', join('best', 'notes.txt'), join('deep', 'x.0123abcd.partial')];
    for (const name of mine) {
      mkdirSync(dirname(join(out, name)), { recursive: true });
      writeFileSync(join(out, name), 'mine');
    }
    // Of the old run alone.
    writeFileSync(join(out, 'learning-rate.svg'), '');
    writeFileSync(join(out, 'model.onnx.0123abcd.partial'), '');
    const seen: string[] = [];
    const trainer = new Trainer(options(out, { policy: 'F1C1', epochs: 2, overwrite: true, tensorboard: true }));
    const places: boolean[] = [];
    const look = (event: TrainEvent) => {
      if (event.type !== 'reading' && event.type !== 'epoch') return;
      places.push(trainer.place === out);
      seen.push(`${event.type} ${readLearned(out).manifest.policy} ${String(existsSync(join(out, 'model.onnx')))}`);
    };
    await trainer.run(look);
    // What an epoch has learned is written once it is told of.
    expect(seen).toEqual(['reading F1C0 true', 'epoch F1C0 true', 'epoch F1C1 false']);
    expect(places).toEqual([false, false, true]);
    expect(readFileSync(join(out, 'best', 'checkpoint.safetensors')).equals(old)).toBe(false);
    expect(readFileSync(join(out, 'events.jsonl'), 'utf8').split('\n').length).toBeGreaterThan(4);
    for (const name of mine) expect(readFileSync(join(out, name), 'utf8')).toBe('mine');
    const names = readdirSync(out);
    expect(names).toContain('model.onnx');
    expect(names.filter((name) => name.startsWith('events.out'))).toHaveLength(1);
    for (const gone of [
      'learning-rate.svg',
      'args.yaml',
      '.ort-tl-next',
      '.ort-tl.lock',
      'model.onnx.0123abcd.partial',
    ])
      expect(names).not.toContain(gone);
  });

  it('is there wholly, or the old one is, wherever the process is killed while one takes the place of the other', async () => {
    const other = folder();
    await train(other, { policy: 'F1C1', seed: 1 });
    const wanted = { ...contents(other), '.ort-tl-run.json': contents(finished)['.ort-tl-run.json'] };
    const names = Object.keys(contents(other)).filter((name) => name !== '.ort-tl-run.json');
    for (let done = 0; done <= names.length; done += 4) {
      const out = copied();
      const next = makeNext(out);
      for (const name of names) {
        mkdirSync(dirname(join(next, name)), { recursive: true });
        cpSync(join(other, name), join(next, name));
      }
      const before = contents(finished);
      expect(contents(out)).toMatchObject(before);
      await planNext(out);
      // Of what the plan says, so much was done.
      if (done > 0) rmSync(join(out, 'args.yaml'));
      for (const name of names.slice(0, done)) renameSync(join(next, name), join(out, name));
      settleRun(out);
      expect(contents(out), String(done)).toEqual(wanted);
      settleRun(out);
      expect(contents(out)).toEqual(wanted);
    }
  });

  it('does nothing that a run would not do, whatever a plan from elsewhere says', async () => {
    const out = copied();
    const mine = join(folder(), 'mine');
    writeFileSync(mine, 'mine');
    const next = makeNext(out);
    await planNext(out);
    for (const name of [mine, `../${mine.split('/').slice(-2).join('/')}`, 'notes.txt']) {
      writeFileSync(join(out, 'notes.txt'), 'mine');
      writeFileSync(join(next, '.ort-tl-plan.json'), JSON.stringify({ remove: [name], move: [] }));
      settleRun(out);
      expect([mine, join(out, 'notes.txt')].map((path) => readFileSync(path, 'utf8'))).toEqual(['mine', 'mine']);
    }
  });

  it('is refused when it begins with the model of the run that it would replace', async () => {
    const out = copied();
    const before = contents(out);
    const model = readModel(join(out, 'model.onnx'));
    await expect(train(out, { model, overwrite: true })).rejects.toThrow(
      `${join(out, 'model.onnx')} is of the run in ${out}, which a new run there would replace; choose another folder (out)`,
    );
    expect(contents(out)).toEqual(before);
  });
});

describe('the folder of a run', () => {
  it.each<[string, string[]]>([
    ['a model and its labels', ['model.onnx', 'labels.txt']],
    ['results of another program', ['results.csv']],
    ['checkpoints of another program', [join('best', 'checkpoint.safetensors')]],
    ['a log of another program', ['summary.json', 'events.jsonl']],
    ['a folder of artifacts', [join('artifacts', 'manifest.json')]],
  ])("is refused when it is no run's and holds %s, to be overwritten or not", async (_, names) => {
    const out = folder();
    for (const name of names) {
      mkdirSync(dirname(join(out, name)), { recursive: true });
      writeFileSync(join(out, name), '{"mine":1}\n');
    }
    const before = contents(out);
    for (const overwrite of [false, true])
      await expect(train(out, { overwrite })).rejects.toMatchObject({
        code: 'foreign-files',
        message: expect.stringContaining(`${out} holds ${names[0] ?? ''}`) as string,
      });
    expect(contents(out)).toEqual(before);
  });

  it('may hold other things', async () => {
    const out = folder();
    writeFileSync(join(out, 'notes.txt'), 'mine');
    await train(out);
    await train(out, { overwrite: true });
    expect(readFileSync(join(out, 'notes.txt'), 'utf8')).toBe('mine');
  });

  it('is known for one by what version 0.1.0 left in it, which did not mark it', async () => {
    const parts = [['best'], ['last'], ['events.jsonl']];
    for (const [kept = ''] of parts) {
      const out = copied();
      for (const name of ['.ort-tl-run.json', ...parts.flat()])
        if (name !== kept) rmSync(join(out, name), { recursive: true });
      expect(() => checkRunFolder(out)).toThrow(expect.objectContaining({ code: 'run-exists' }));
      checkRunFolder(out, { overwrite: true });
    }
    const out = copied();
    rmSync(join(out, '.ort-tl-run.json'));
    await train(out, { overwrite: true, policy: 'F1C1' });
    expect(readLearned(out).manifest.policy).toBe('F1C1');
  });

  it('is left as it was found by a training that is refused', async () => {
    const at = folder();
    const out = join(at, 'runs', 'first');
    await expect(train(out, { policy: 'F9C0' })).rejects.toMatchObject({ code: 'bad-policy' });
    await expect(train(out, { policy: 'full', frozen: 'int8' })).rejects.toMatchObject({ code: 'nothing-to-quantize' });
    expect(readdirSync(at)).toEqual([]);
  });

  it('takes one training at a time', async () => {
    const out = folder();
    const first = new Trainer(options(out))[Symbol.asyncIterator]();
    await first.next();
    const before = contents(out);
    const refusal = {
      code: 'folder-in-use',
      message: expect.stringContaining(`process ${process.pid} on `) as string,
    };
    await expect(train(out, { policy: 'F1C1' })).rejects.toMatchObject(refusal);
    await expect(train(out, { policy: 'F1C1', overwrite: true })).rejects.toMatchObject(refusal);
    await expect(train(out, { resume: true })).rejects.toMatchObject(refusal);
    expect(contents(out)).toEqual(before);
    while (!(await first.next()).done);
    expect(readLearned(out).manifest.policy).toBe('F1C0');
    await train(out, { overwrite: true });
  });
});
