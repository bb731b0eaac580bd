import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { openDataset } from '../../src/data/openDataset.js';
import { sha256 } from '../../src/files.js';
import { decodeModel, metadataOf, readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { resultOf } from '../../src/resultOf.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { LiveHead } from '../../src/train/liveHead.js';
import type { LiveHeadEvent } from '../../src/train/liveHeadEvents.js';
import type { LiveHeadOptions } from '../../src/train/openHead.js';
import { PhotoExplainer } from '../../src/train/photoExplainer.js';
import { predict } from '../../src/train/predictPhoto.js';
import type { TrainEvent } from '../../src/train/events.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN } from '../models.js';

const model = readModel(SMALL_CNN);
const OPTIONS = { model, epochs: 3, threads: 2 };
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const PER_CLASS = { train: 12, val: 4 };
const PHOTOS = 6 * (PER_CLASS.train + PER_CLASS.val);

/** Pictures of six classes, and as many others. */
let [pictures, others] = ['', ''];
beforeAll(async () => {
  const at = folder();
  [pictures, others] = [join(at, 'pictures'), join(at, 'others')];
  const drawn = { set: 'demo', trainPerClass: PER_CLASS.train, valPerClass: PER_CLASS.val, size: 48 } as const;
  await drawPictures(pictures, { ...drawn, seed: 5 });
  await drawPictures(others, { ...drawn, seed: 6 });
});

/** A copy of the pictures that a test may change. */
function copy(): string {
  const data = join(folder(), 'pictures');
  cpSync(pictures, data, { recursive: true });
  // Of files that were changed just now, nothing is known for sure.
  for (const { name, parentPath } of readdirSync(data, { recursive: true, withFileTypes: true }))
    utimesSync(join(parentPath, name), 1e9, 1e9);
  return data;
}

const photosIn = (data: string, ...parts: string[]) =>
  readdirSync(join(data, ...parts))
    .sort()
    .map((name) => join(data, ...parts, name));

async function learn(live: LiveHead, data: string, options: { readonly signal?: AbortSignal } = {}) {
  const events: LiveHeadEvent[] = [];
  const result = await resultOf(live.learn(await openDataset(data, {}), options), (event) => void events.push(event));
  return { events, result, model: sha256(live.tunedModel()) };
}

async function withHead<Result>(use: (live: LiveHead) => Promise<Result>, options: Partial<LiveHeadOptions> = {}) {
  const live = new LiveHead({ ...OPTIONS, ...options });
  try {
    return await use(live);
  } finally {
    await live.close();
  }
}

/** The model, as a hash of its bytes, that a head gives which knows no other photos. */
const afresh = (data: string) => withHead(async (live) => (await learn(live, data)).model);

const features = (events: readonly LiveHeadEvent[]) =>
  events.flatMap((event) => (event.type === 'progress' && event.phase === 'features' ? [event] : []));

describe('a live head learns what a training of policy F1C0 learns', () => {
  async function train(data: string, cache?: string) {
    const out = join(folder(), 'run');
    const events: TrainEvent[] = [];
    const dataset = await openDataset(data, {});
    const trainer = new Trainer({
      ...OPTIONS,
      dataset,
      policy: 'F1C0',
      out,
      ...(cache === undefined ? {} : { cache }),
    });
    await trainer.run((event) => void events.push(event));
    const { tensors } = readSafetensors(join(out, 'last', 'checkpoint.safetensors'));
    return { tensors, events, epochs: events.flatMap((event) => (event.type === 'epoch' ? [event.result] : [])) };
  }

  /** The parameters of a tuned model that the state has, as bytes. */
  const parametersIn = (bytes: Uint8Array, names: readonly string[]) =>
    new Map(
      decodeModel(bytes, 'model').graph?.initializer.flatMap(({ name, rawData }) =>
        names.includes(name) ? [[name, Buffer.from(rawData)]] : [],
      ),
    );

  it.each([
    ['many photos', PER_CLASS.train],
    ['fewer photos than a batch has', 3],
  ])('to the same bits, of %s', async (_, perClass) => {
    const data = copy();
    for (const name of readdirSync(join(data, 'train')))
      for (const photo of photosIn(data, 'train', name).slice(perClass)) rmSync(photo);
    const trained = await train(data);
    await withHead(async (live) => {
      const { result } = await learn(live, data);
      const own = parametersIn(live.tunedModel(), [...trained.tensors.keys()]);
      expect([...own.keys()].sort()).toEqual(['fc2.bias', 'fc2.weight']);
      for (const [name, bytes] of own) {
        const { buffer, byteOffset, byteLength } = trained.tensors.get(name)?.data as Float32Array;
        expect(bytes.equals(Buffer.from(buffer, byteOffset, byteLength)), name).toBe(true);
      }
      const last = trained.epochs.at(-1);
      expect(result.metrics).toMatchObject({ top1: last?.top1, loss: last?.valLoss, macroF1: last?.macroF1 });
      expect(result).toMatchObject({ trainPhotos: 6 * perClass, valPhotos: 6 * PER_CLASS.val });
    });
  });

  it('with a cache too, which it shares with trainings', async () => {
    const cache = folder();
    const without = await afresh(pictures);
    const cold = await withHead((live) => learn(live, pictures), { cache });
    expect(cold.result.computed).toBe(PHOTOS);
    const warm = await withHead((live) => learn(live, pictures), { cache });
    expect(warm.result.computed).toBe(0);
    expect([cold.model, warm.model]).toEqual([without, without]);
    const { events } = await train(pictures, cache);
    expect(events.find(({ type }) => type === 'cache')).toMatchObject({ rows: PHOTOS });
    const trainedFirst = folder();
    await train(pictures, trainedFirst);
    expect((await withHead((live) => learn(live, pictures), { cache: trainedFirst })).result.computed).toBe(0);
  });

  it('tells how far it is, and what it is worth', async () => {
    const { events, result } = await withHead((live) => learn(live, pictures));
    expect(features(events)[0]).toMatchObject({ done: 0, total: PHOTOS });
    expect(features(events).at(-1)).toMatchObject({ done: PHOTOS, total: PHOTOS });
    const steps = 3 * Math.ceil((6 * PER_CLASS.train) / 32);
    expect(events.at(-1)).toEqual({ type: 'progress', phase: 'training', done: steps, total: steps });
    const right = result.predictions.filter(({ label, predicted }) => label === predicted).length;
    expect(result.metrics.top1).toBe(right / (6 * PER_CLASS.val));
    const [low, high] = result.interval;
    expect(low).toBeLessThanOrEqual(result.metrics.top1);
    expect(high).toBeGreaterThanOrEqual(result.metrics.top1);
    expect(high - low).toBeLessThan(0.5);
    const { val } = await openDataset(pictures, {});
    expect(result.predictions.map(({ photo, label }) => [photo.path, label])).toEqual(
      val.map(({ path, label }) => [path, label]),
    );
  });
});

describe('a live head, when photos change,', () => {
  it('computes those that came, and no others', async () => {
    const data = copy();
    await withHead(async (live) => {
      expect((await learn(live, data)).result.computed).toBe(PHOTOS);
      const again = await learn(live, data);
      expect(again.result.computed).toBe(0);
      expect(again.model).toBe(await afresh(data));
      for (const photo of photosIn(others, 'train', 'cup').slice(0, 5))
        cpSync(photo, join(data, 'train', 'cup', `new-${photo.slice(-8)}`));
      const more = await learn(live, data);
      expect(more.result).toMatchObject({ computed: 5, trainPhotos: 6 * PER_CLASS.train + 5 });
      expect(features(more.events)[0]).toMatchObject({ done: PHOTOS, total: PHOTOS + 5 });
      expect(more.model).toBe(await afresh(data));
    });
  });

  it('knows photos that are moved to another class, removed, put back, or there twice', async () => {
    const data = copy();
    await withHead(async (live) => {
      await learn(live, data);
      const [first = '', second = '', third = ''] = photosIn(data, 'train', 'boat');
      const beside = join(folder(), 'photo.jpg');
      const expectKnown = async (trainPhotos: number) => {
        const { result, model: learned } = await learn(live, data);
        expect(result).toMatchObject({ computed: 0, trainPhotos });
        expect(learned).toBe(await afresh(data));
      };
      renameSync(first, join(data, 'train', 'cup', 'boat.jpg'));
      await expectKnown(6 * PER_CLASS.train);
      renameSync(second, beside);
      await expectKnown(6 * PER_CLASS.train - 1);
      renameSync(beside, second);
      await expectKnown(6 * PER_CLASS.train);
      // One content in two classes has two labels.
      cpSync(third, join(data, 'train', 'cup', 'again.jpg'));
      await expectKnown(6 * PER_CLASS.train + 1);
    });
  });

  it('sees that a file has become another photo, also of the same size', async () => {
    const data = copy();
    await withHead(async (live) => {
      const [first = ''] = photosIn(data, 'train', 'boat');
      await learn(live, data);
      const [other = ''] = photosIn(others, 'train', 'boat');
      cpSync(other, first);
      const { result, model: learned } = await learn(live, data);
      expect(result.computed).toBe(1);
      expect(learned).toBe(await afresh(data));
    });
  });

  it.each([['in memory', false] as const, ['in a cache', true] as const])(
    'keeps what it knows, %s, when a class comes, goes, or gets another name',
    async (_, isCached) => {
      const data = copy();
      await withHead(
        async (live) => {
          await learn(live, data);
          for (const split of ['train', 'val'] as const)
            cpSync(join(others, split, 'cup'), join(data, split, 'other'), { recursive: true });
          const wider = await learn(live, data);
          expect(wider.result.classes).toContain('other');
          expect(wider.result).toMatchObject({ computed: PER_CLASS.train + PER_CLASS.val });
          expect(wider.model).toBe(await afresh(data));
          for (const split of ['train', 'val']) renameSync(join(data, split, 'other'), join(data, split, 'a name'));
          const renamed = await learn(live, data);
          expect(renamed.result.classes).toContain('a name');
          expect(renamed.result.computed).toBe(0);
          expect(renamed.model).toBe(await afresh(data));
          for (const split of ['train', 'val']) rmSync(join(data, split, 'a name'), { recursive: true });
          const narrower = await learn(live, data);
          expect(narrower.result.computed).toBe(0);
          expect(narrower.model).toBe(await afresh(pictures));
        },
        isCached ? { cache: folder() } : {},
      );
    },
  );

  it('tells of photos that cannot be read, and leaves them out', async () => {
    const data = copy();
    for (const split of ['train', 'val']) writeFileSync(join(data, split, 'cup', 'page.jpg'), `<html>${split}`);
    await withHead(async (live) => {
      for (let time = 0; time < 2; time++) {
        const { events, result, model: learned } = await learn(live, data);
        const skipped = events.flatMap((event) => (event.type === 'skipped' ? [event] : []));
        expect(skipped.map(({ path }) => path)).toEqual(
          ['train', 'val'].map((split) => join(data, split, 'cup', 'page.jpg')),
        );
        expect(skipped[0]?.reason).toContain('page.jpg');
        expect(result).toMatchObject({ trainPhotos: 6 * PER_CLASS.train, valPhotos: 6 * PER_CLASS.val });
        expect(result.predictions).toHaveLength(6 * PER_CLASS.val);
        expect(learned).toBe(await afresh(pictures));
      }
    });
  });

  it.each([['without a cache', false] as const, ['with a cache', true] as const])(
    'makes room for many, and takes that of those that went, %s',
    async (_, isCached) => {
      const many = join(folder(), 'many');
      await drawPictures(many, { set: 'demo', trainPerClass: 60, valPerClass: 8, size: 32, seed: 7 });
      const fewer = join(folder(), 'fewer');
      await drawPictures(fewer, { set: 'demo', trainPerClass: 30, valPerClass: 4, size: 32, seed: 8 });
      await withHead(
        async (live) => {
          await learn(live, pictures);
          expect((await learn(live, many)).model).toBe(await afresh(many));
          expect((await learn(live, fewer)).result.computed).toBe(6 * 34);
          // What was there is gone now, or in the cache.
          for (const data of [many, fewer, pictures]) expect((await learn(live, data)).model).toBe(await afresh(data));
        },
        isCached ? { cache: folder() } : {},
      );
    },
  );
});

describe('a live head that is stopped', () => {
  it.each(['features', 'training'] as const)('while it is at the %s goes on later', async (phase) => {
    const data = copy();
    await withHead(async (live) => {
      await learn(live, data);
      const before = sha256(live.tunedModel());
      for (const name of readdirSync(join(others, 'train')))
        for (const photo of photosIn(others, 'train', name))
          cpSync(photo, join(data, 'train', name, `new-${photo.slice(-8)}`));
      const controller = new AbortController();
      const stopped = resultOf(live.learn(await openDataset(data, {}), { signal: controller.signal }), (event) => {
        if (event.type === 'progress' && event.phase === phase && (phase === 'training' || event.done > PHOTOS + 20))
          controller.abort();
      });
      await expect(stopped).rejects.toMatchObject({ code: 'stopped' });
      expect(sha256(live.tunedModel())).toBe(before);
      const [photo = ''] = photosIn(data, 'val', 'cup');
      expect(await live.classify(photo)).toHaveLength(6);
      const later = await learn(live, data);
      expect(later.result.computed).toBeLessThan(6 * PER_CLASS.train);
      expect(later.model).toBe(await afresh(data));
    });
  });

  it('before it begins does nothing', async () => {
    await withHead(async (live) => {
      await expect(learn(live, pictures, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'stopped' });
      expect((await learn(live, pictures)).result.computed).toBe(PHOTOS);
    });
  });

  it('by whoever looks no longer goes on later', async () => {
    await withHead(async (live) => {
      for (const phase of ['features', 'training']) {
        for await (const event of live.learn(await openDataset(pictures, {})))
          if (event.type === 'progress' && event.phase === phase && event.done > 0) break;
      }
      expect((await learn(live, pictures)).model).toBe(await afresh(pictures));
    });
  });

  it('by closing it learns no more', async () => {
    const live = new LiveHead(OPTIONS);
    const learning = learn(live, pictures);
    const waiting = learn(live, pictures);
    const ended = Promise.allSettled([learning, waiting]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await live.close();
    for (const each of await ended)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'stopped' });
    await expect(learn(live, pictures)).rejects.toMatchObject({ code: 'stopped' });
    await live.close();
  });
});

describe('a live head, when something is wrong,', () => {
  it('has learned nothing at first', async () => {
    await withHead(async (live) => {
      await expect(live.classify('photo.jpg')).rejects.toMatchObject({ code: 'nothing-learned' });
      expect(() => live.tunedModel()).toThrow(expect.objectContaining({ code: 'nothing-learned' }));
    });
  });

  it('refuses photos that it cannot learn, and learns others', async () => {
    const data = copy();
    for (const photo of photosIn(data, 'train', 'cup')) writeFileSync(photo, `<html>${photo}`);
    await withHead(async (live) => {
      await expect(learn(live, data)).rejects.toMatchObject({ code: 'class-without-photos' });
      const labelled = { ...(await openDataset(pictures, {})), task: 'labels' } as const;
      await expect(resultOf(live.learn(labelled))).rejects.toMatchObject({ code: 'bad-arguments' });
      expect((await learn(live, pictures)).result.computed).toBe(PER_CLASS.train);
    });
  });

  it('begins anew where its worker has died', async () => {
    await withHead(async (live) => {
      await learn(live, pictures);
      const { engine } = Reflect.get(live, 'open') as { readonly engine: object };
      const { worker } = Reflect.get(engine, 'stepper') as { readonly worker: unknown };
      if (!(worker instanceof Worker)) throw new Error('the engine has no worker');
      await worker.terminate();
      await expect(learn(live, pictures)).rejects.toThrow('exit code');
      expect((await learn(live, pictures)).model).toBe(await afresh(pictures));
    });
  });

  it('learns one data set after another when it is asked at once', async () => {
    await withHead(async (live) => {
      const [first, second] = await Promise.all([learn(live, pictures), learn(live, others)]);
      expect([first.result.computed, second.result.computed]).toEqual([PHOTOS, PHOTOS]);
    });
  });
});

describe('what a live head has learned', () => {
  it('classifies photos as its evaluation, and as the tuned model, does', async () => {
    await withHead(async (live) => {
      const { result } = await learn(live, pictures);
      const path = join(folder(), 'model.onnx');
      writeFileSync(path, live.tunedModel());
      const { proto } = readModel(path);
      expect(JSON.parse(metadataOf(proto).get('labels') ?? '')).toEqual(result.classes);
      const classifier = await ImageClassifier.open(path);
      for (const { photo, predicted, probability } of result.predictions.slice(0, 12)) {
        const scored = await live.classify(photo);
        expect(scored[0]).toEqual({
          label: result.classes[predicted],
          probability: expect.closeTo(probability, 6) as number,
        });
        expect(scored.map((each) => each.probability)).toEqual(
          scored.map((each) => each.probability).sort((a, b) => b - a),
        );
        const tuned = await predict(classifier, photo);
        expect(scored).toEqual(
          tuned.map(({ label, probability: share }) => ({ label, probability: expect.closeTo(share, 5) as number })),
        );
      }
      await classifier.close();
      const explainer = await PhotoExplainer.open(path);
      const [photo = ''] = photosIn(pictures, 'val', 'cup');
      expect((await explainer.explain(photo)).label).toBe((await live.classify(photo))[0]?.label);
      await explainer.close();
    });
  });

  it('classifies while other photos and other classes are learned', async () => {
    const data = copy();
    for (const split of ['train', 'val'])
      cpSync(join(others, split, 'cup'), join(data, split, 'other'), { recursive: true });
    await withHead(async (live) => {
      const { result } = await learn(live, pictures);
      const [photo = ''] = photosIn(pictures, 'val', 'cup');
      const before = await live.classify(photo);
      let isLearned = false;
      const learning = learn(live, data).finally(() => (isLearned = true));
      let same = 0;
      do {
        const now = await live.classify(photo);
        if (now.length !== result.classes.length) break;
        expect(now).toEqual(before);
        same++;
      } while (!isLearned);
      await learning;
      expect(same).toBeGreaterThan(1);
      expect(await live.classify(photo)).toHaveLength(7);
    });
  });
});

it('ends with all that it has opened, so that the program ends', async () => {
  const library = new URL('../../dist/index.js', import.meta.url).href;
  const file = join(folder(), 'program.mjs');
  writeFileSync(
    file,
    `import { LiveHead, openDataset, readModel, resultOf } from ${JSON.stringify(library)};
    const live = new LiveHead({ model: readModel(${JSON.stringify(SMALL_CNN)}), epochs: 2 });
    const dataset = await openDataset(${JSON.stringify(pictures)}, {});
    for await (const event of live.learn(dataset)) if (event.phase === 'training') break;
    await resultOf(live.learn(dataset));
    console.log((await live.classify(dataset.val[0])).length);
    await live.close();
    console.log('closed');`,
  );
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect([code, printed]).toEqual([0, '6\nclosed\n']);
});
