import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { predictionsCsv } from '../../src/train/predictions.js';
import { cellOf, predictionsOf } from '../../src/studio/server/look.js';
import { Runs } from '../../src/studio/server/runs.js';

const classes = ['<img onerror=alert(1)>', '=2+3', 'say "ah", please'];
const summary = {
  policy: 'F1C1',
  epochs: 2,
  top1: 0.9,
  elapsedMs: 1234,
  peakRssBytes: 5e8,
  classes,
  trainPhotos: 30,
  valPhotos: 10,
  warnings: ['said once'],
  stopped: false,
  perClass: classes.map(() => ({ photos: 3, precision: 1, recall: 0.5, f1: 2 / 3 })),
  cost: { frozenMultiplyAdds: 10, forwardMultiplyAdds: 2, backwardMultiplyAdds: 3, trainingMemoryBytes: 1e6 },
};

function makeRun(name: string, files: Readonly<Record<string, string>>): { runs: Runs; folder: string } {
  const runs = new Runs(mkdtempSync(join(tmpdir(), 'ort-tl-')));
  const folder = join(runs.folder, name);
  mkdirSync(folder);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return { runs, folder };
}
const whole = {
  'summary.json': JSON.stringify(summary),
  'args.yaml': 'model: /models/net.onnx\npolicy: F1C1\n',
  'results.csv': 'epoch,trainLoss,valLoss,trainTop1,top1,elapsedMs\n1,2,1.5,0.4,0.5,3000\n2,1,0.5,0.8,0.9,100\n',
};

describe('runs', () => {
  it('finds what was trained, and what was killed', async () => {
    const { runs, folder } = makeRun('first', whole);
    mkdirSync(join(runs.folder, 'exports'));
    mkdirSync(join(runs.folder, 'killed', 'last'), { recursive: true });
    writeFileSync(join(runs.folder, 'killed', 'args.yaml'), 'model: net\npolicy: full\n');
    expect(await runs.refresh()).toBe(true);
    expect(await runs.refresh()).toBe(false);
    const byName = Object.fromEntries(runs.list.map((run) => [run.name, run]));
    expect(Object.keys(byName).sort()).toEqual(['first', 'killed']);
    expect(byName['first']).toMatchObject({ policy: 'F1C1', model: 'net.onnx', top1: 0.9, stopped: false });
    // Wilson's interval of 9 of 10.
    expect(byName['first']?.interval?.map((share) => share.toFixed(4))).toEqual(['0.5958', '0.9821']);
    expect(byName['killed']).toMatchObject({ policy: 'full', epochs: 0, stopped: true });
    writeFileSync(join(folder, 'notes.txt'), 'from outside');
    expect(await runs.refresh()).toBe(true);
    expect(runs.find('first').run.notes).toBe('from outside');
  });

  it('shows a run whose files are damaged or missing with what is wrong, and deletes it', async () => {
    const cases: [Record<string, string>, string][] = [
      [{ ...whole, 'summary.json': '{"policy":' }, 'summary.json is damaged'],
      [{ ...whole, 'summary.json': 'null', 'args.yaml': 'model: [' }, 'summary.json is damaged, args.yaml is damaged'],
      [{ ...whole, 'results.csv': 'epoch,"\n1,2' }, 'results.csv is damaged'],
      [{ ...whole, 'results.csv': '\0\0\0' }, 'results.csv is damaged'],
      [{ 'results.csv': whole['results.csv'] }, 'summary.json and args.yaml are missing'],
    ];
    for (const [files, problem] of cases) {
      const { runs } = makeRun('first', files);
      await runs.refresh();
      expect(runs.list).toMatchObject([{ name: 'first', problem }]);
      const { results } = await runs.details('first');
      expect(results).toHaveLength(problem.includes('csv') ? 0 : 2);
      await runs.remove('first');
      expect(runs.list).toEqual([]);
    }
    const { runs } = makeRun('first', whole);
    await runs.refresh();
    expect(runs.list[0]).not.toHaveProperty('problem');
    mkdirSync(join(runs.folder, 'exports'));
    mkdirSync(join(runs.folder, 'second', 'summary.json'), { recursive: true });
    await runs.refresh();
    expect(runs.list.find(({ name }) => name === 'second')).toMatchObject({ problem: 'summary.json is damaged' });
    expect(runs.list).toHaveLength(2);
  });

  it('keeps notes beside a run, and moves one that is deleted out of sight', async () => {
    const { runs, folder } = makeRun('first', whole);
    await runs.refresh();
    await runs.note('first', 'good light\nsecond line');
    expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('good light\nsecond line');
    await runs.remove('first');
    expect([runs.list, existsSync(folder)]).toEqual([[], false]);
    await expect(runs.remove('../first')).rejects.toMatchObject({ code: 'no-such-run' });
  });

  it('reads its epochs, and how long later ones took', async () => {
    const { runs } = makeRun('first', whole);
    await runs.refresh();
    const { results } = await runs.details('first');
    expect(results[1]).toEqual({ epoch: 2, trainLoss: 1, valLoss: 0.5, trainTop1: 0.8, top1: 0.9 });
    expect(await runs.laterEpochMs(runs.find('first'))).toBe(100);
  });

  it('finds by the predictions of a run the photos that are still there, whatever their classes are called', async () => {
    const photos = classes.map((_, label) => ({ path: `/photos/=x "${label}", y.jpg`, label }));
    const logits = Float32Array.of(9, 0, 0, 0, 0, 9, 0, 0, 9);
    const { runs } = makeRun('first', { ...whole, 'predictions.csv': predictionsCsv(photos, logits, classes) });
    await runs.refresh();
    const there = new Map(photos.slice(0, 2).map(({ path }) => [cellOf(path), { path, stamp: 's' }]));
    const found = await predictionsOf(runs.find('first'), (path) => there.get(path));
    expect(found.classes).toEqual(classes);
    expect(found.photos.map(({ path, label, predicted }) => [path, label, predicted])).toEqual([
      [photos[0]?.path, 0, 0],
      [photos[1]?.path, 1, 2],
    ]);
    expect(found.photos[0]?.probability).toBeCloseTo(0.99975, 4);
  });

  it('says what to do where a run has no predictions', async () => {
    const { runs } = makeRun('first', whole);
    await runs.refresh();
    await expect(predictionsOf(runs.find('first'), () => undefined)).rejects.toMatchObject({
      code: 'no-predictions',
      message: expect.stringMatching(/train it again/) as string,
    });
  });
});
