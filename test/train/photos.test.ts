import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { resultOf } from '../../src/resultOf.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { evaluate } from '../../src/train/evaluate.js';
import type { Summary, TrainEvent } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN } from '../models.js';

const at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const model = readModel(SMALL_CNN);
/** Pictures of two classes that all differ. */
const picture = (name: string, number: number) =>
  join(at, 'drawn', 'train', name, `${String(number).padStart(4, '0')}.jpg`);

function put(path: string, from: string): void {
  mkdirSync(dirname(join(at, path)), { recursive: true });
  cpSync(from, join(at, path));
}

async function train(data: string, options: Partial<TrainOptions> = {}) {
  const out = mkdtempSync(join(at, 'run-'));
  const dataset = await openDataset(join(at, data), {});
  const events: TrainEvent[] = [];
  const trainer = new Trainer({ model, dataset, policy: 'F1C0', out, epochs: 1, threads: 1, maxBad: 0.2, ...options });
  const summary = await trainer.run((event) => void events.push(event));
  return { summary, events, out };
}

const sumOf = ({ train: trained, validate, test, skipped, leftOut }: Summary['photos']) =>
  trained + validate + test + skipped + Object.values(leftOut).reduce((sum, count) => sum + count, 0);

beforeAll(async () => {
  await drawPictures(join(at, 'drawn'), { set: 'demo', trainPerClass: 12, valPerClass: 1, size: 32, seed: 3 });
  for (const name of ['boat', 'cup']) {
    for (let photo = 0; photo < 6; photo++) put(`set/train/${name}/${photo}.jpg`, picture(name, photo));
    for (let photo = 6; photo < 8; photo++) put(`set/val/${name}/${photo}.jpg`, picture(name, photo));
    for (let photo = 8; photo < 11; photo++) put(`set/test/${name}/${photo}.jpg`, picture(name, photo));
  }
  writeFileSync(join(at, 'set/train/cup/page.jpg'), '<html>');
  for (const name of ['a.heic', 'b.heic', 'labels.csv', 'Thumbs.db'])
    writeFileSync(join(at, 'set/train/cup', name), 'x');
  put('set/cover.jpg', picture('cup', 11));
});

describe('a training', () => {
  it.each([
    ['each photo as it is', {}],
    ['views of each', { augmentation: { flip: 0.5 }, views: 2 }],
    ['photos from the cache', { cache: join(at, 'cache') }],
  ] as const)('accounts for every file, with %s', async (_, options) => {
    const { summary, events, out } = await train('set', options);
    const expected = {
      found: 12 + 4 + 6 + 1 + 4 + 1,
      train: 12,
      validate: 4,
      test: 6,
      skipped: 1,
      leftOut: { '.heic': 2, '.csv': 1, 'system files': 1, 'beside the class folders': 1 },
    };
    expect(summary.photos).toEqual(expected);
    expect(sumOf(summary.photos)).toBe(summary.photos.found);
    expect((JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Summary).photos).toEqual(expected);
    const logged = readFileSync(join(out, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as TrainEvent);
    expect(logged.find(({ type }) => type === 'photos')).toMatchObject({
      photos: expected,
      duplicates: { acrossSplits: 0, acrossClasses: 0, again: 0 },
      notes: [expect.stringContaining('1 photo in') as string, expect.stringContaining('2 .heic') as string],
    });
    expect(events.filter(({ type }) => type === 'photos')).toHaveLength(1);
  });

  it('tells of photos that train and validate, or are in two classes, and not of pages that are no photos', async () => {
    cpSync(join(at, 'set'), join(at, 'doubled'), { recursive: true });
    put('doubled/val/boat/again.jpg', picture('boat', 0));
    put('doubled/train/boat/cup.jpg', picture('cup', 1));
    put('doubled/train/boat/again.jpg', picture('boat', 2));
    writeFileSync(join(at, 'doubled/val/cup/page.jpg'), '<html>');
    const { summary, events } = await train('doubled');
    expect(summary.duplicates).toEqual({ acrossSplits: 1, acrossClasses: 1, again: 1 });
    expect(summary.photos.skipped).toBe(2);
    expect(sumOf(summary.photos)).toBe(summary.photos.found);
    const told = events.find(({ type }) => type === 'photos');
    expect(told).toMatchObject({
      warnings: [
        expect.stringMatching(
          /^1 of the photos that validate trains too \(.*val\/boat\/again\.jpg is .*train\/boat\/0\.jpg\)/,
        ),
        expect.stringMatching(/^1 photo is in two classes \(.*train\/cup\/1\.jpg is .*train\/boat\/cup\.jpg\)/),
      ],
    });
  });
});

describe('evaluate', () => {
  it('measures sets that no training could use, and those that are kept for testing', async () => {
    const { out } = await train('set');
    const classifier = await ImageClassifier.open(join(out, 'model.onnx'));
    put('one-each/boat/0.jpg', picture('boat', 9));
    put('one-each/cup/0.jpg', picture('cup', 9));
    put('only/cup/0.jpg', picture('cup', 9));
    const open = (data: string) => openDataset(join(at, data), { use: 'measuring' });
    const count = async (data: string, split: 'all' | 'val' | 'test') =>
      (await resultOf(evaluate(classifier, await open(data), { split, maxBad: 1 }))).photos;
    expect(await count('one-each', 'all')).toBe(2);
    expect(await count('only', 'all')).toBe(1);
    expect(await count('set', 'test')).toBe(6);
    expect(await count('set', 'all')).toBe(22);
    for (const [split, photos] of [
      ['train', 3],
      ['test', 2],
    ] as const)
      for (let photo = 0; photo < photos; photo++)
        put(`tested/${split}/boat/${photo}.jpg`, picture('boat', photos + photo));
    // They validate in a training, since there are no others.
    expect(await count('tested', 'test')).toBe(2);
    expect(await count('tested', 'val')).toBe(2);
    expect(await count('tested', 'all')).toBe(5);
    await expect(count('one-each', 'val')).rejects.toMatchObject({ code: 'no-photos' });
    put('alien/boat/0.jpg', picture('boat', 9));
    put('alien/dog/0.jpg', picture('boat', 9));
    await expect(count('alien', 'all')).rejects.toMatchObject({ code: 'unknown-class' });
    await classifier.close();
  });

  it('knows a class by its name in either form of Unicode', async () => {
    for (let photo = 0; photo < 4; photo++) {
      put(`names/cafe\u0301/${photo}.jpg`, picture('cup', photo));
      put(`names/x/${photo}.jpg`, picture('boat', photo));
    }
    const { out, summary } = await train('names');
    expect(summary.classes).toEqual(['caf\u00e9', 'x']);
    const classifier = await ImageClassifier.open(join(out, 'model.onnx'));
    const photos = [{ path: picture('cup', 5), label: 0 }];
    const dataset = { folder: at, classes: ['cafe\u0301'], train: [], val: photos };
    expect((await resultOf(evaluate(classifier, dataset))).classes[0]?.photos).toBe(1);
    await classifier.close();
  });
});
