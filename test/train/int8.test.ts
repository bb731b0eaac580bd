import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadArtifacts } from '../../src/artifacts/load.js';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import type { Summary, TrainEvent } from '../../src/train/events.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { calibrationPhotos } from '../../src/train/quantizeFrozen.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
let dataset: Dataset;
beforeAll(async () => {
  const pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 12, valPerClass: 6, size: 48, seed: 5 });
  dataset = await ImageFolder.open(pictures, { seed: 0 });
});

async function train(options: Partial<TrainOptions> = {}) {
  const events: TrainEvent[] = [];
  const out = options.out ?? join(folder(), 'run');
  const all = {
    model: readModel(SMALL_CNN),
    dataset,
    policy: 'F1C0',
    epochs: 3,
    frozen: 'int8' as const,
    out,
    ...options,
  };
  const summary: Summary = await new Trainer(all).run((event) => {
    events.push(event);
  });
  return { out, summary, events, best: readFileSync(join(out, 'best', 'checkpoint.safetensors')).toString('base64') };
}
const rowsIn = (events: readonly TrainEvent[]) => events.find((event) => event.type === 'cache')?.rows;

describe('a training whose frozen part is computed in whole numbers', () => {
  it('calibrates, tells so in the manifest, and says what it costs against the model in float', async () => {
    const { out, summary, events } = await train();
    const { manifest } = loadArtifacts(join(out, 'artifacts'));
    expect(manifest.frozen).toMatchObject({ precision: 'int8', calibration: { method: 'min-max', photos: 72 } });
    expect(existsSync(join(out, 'artifacts', 'frozen_int8.onnx'))).toBe(true);
    expect(manifest.boundary.map(({ dtype }) => dtype)).toEqual(['float32']);
    const { frozen, verified } = summary;
    expect(frozen?.photos).toBe(36);
    // What was evaluated is what is exported, but that a last bit may tip a number to the next whole one.
    expect(verified.agreeing).toBeGreaterThanOrEqual(35);
    expect(frozen?.agreeing).toBeGreaterThan(0.8 * verified.photos);
    expect(existsSync(frozen?.model ?? '')).toBe(true);
    expect(Math.abs((frozen?.top1?.int8 ?? NaN) - (summary.top1 ?? NaN))).toBeLessThan(1.5 / 36);
    expect(events.some((event) => event.type === 'progress' && event.phase === 'calibrating')).toBe(true);
  });

  it('keeps other features than one in float, and finds its own again', async () => {
    const cache = folder();
    await train({ cache, frozen: 'float32' });
    const cold = await train({ cache });
    expect(rowsIn(cold.events)).toBe(0);
    const warm = await train({ cache });
    expect(rowsIn(warm.events)).toBe(6 * (12 + 6));
    expect(warm.best).toBe(cold.best);
  });

  it('goes on, resumed, with the ranges that it was begun with, to the weights of one that was not stopped', async () => {
    const whole = await train();
    const controller = new AbortController();
    const out = join(folder(), 'run');
    const options = { model: readModel(SMALL_CNN), dataset, policy: 'F1C0', epochs: 3, frozen: 'int8' as const, out };
    await new Trainer({ ...options, signal: controller.signal }).run((event) => {
      if (event.type === 'epoch') controller.abort();
    });
    const resumed = await train({ out, resume: true });
    expect(resumed.events.some((event) => event.type === 'progress' && event.phase === 'calibrating')).toBe(false);
    expect(resumed.best).toBe(whole.best);
    await expect(train({ out, resume: true, frozen: 'float32' })).rejects.toMatchObject({ code: 'cannot-resume' });
  });

  it.each(['percentile', 'entropy'] as const)('calibrates by %s', async (method) => {
    const { summary } = await train({ calibration: { method, photos: 30 }, epochs: 1 });
    expect(summary.frozen?.calibration).toEqual({ method, photos: 30 });
  });

  it('is refused where nothing is frozen, and on another provider than the CPU', async () => {
    const nothing = { code: 'nothing-to-quantize', message: expect.stringContaining('policy full') as string };
    await expect(train({ policy: 'full' })).rejects.toMatchObject(nothing);
    await expect(train({ provider: 'webgpu' })).rejects.toMatchObject({ code: 'bad-arguments' });
  });

  // Both read the class token alone of their last block; one states a batch of 1, and a class token of one image.
  it.each(['vit_torchvision-ts17-dynamic', 'vit-ts17-batch1'])(
    'exports of a transformer what was evaluated: %s',
    async (name) => {
      const path = fileURLToPath(new URL(`../fixtures/transformers/${name}.onnx`, import.meta.url));
      for (const policy of ['F1C0', 'blocks:1']) {
        const { summary } = await train({ model: readModel(path), policy, epochs: 1, preprocessing: 'unit' });
        const { agreeing, photos, largestDifference } = summary.verified;
        expect([agreeing, photos]).toEqual([36, 36]);
        expect(largestDifference).toBeLessThan(1e-5);
      }
    },
  );

  it.each([
    ['bias', 'has no operators that could be computed in whole numbers'],
    ['lora:2', 'has no operators that could be computed in whole numbers'],
    ['full', 'has no frozen part that could be computed in whole numbers'],
  ])('is refused before it begins where %s trains a transformer from its first layer on', async (policy, reason) => {
    const path = fileURLToPath(new URL('../fixtures/transformers/clip-ts17-dynamic.onnx', import.meta.url));
    const out = join(folder(), 'run');
    await expect(train({ model: readModel(path), policy, out })).rejects.toThrow(
      new RegExp(`policy ${policy} ${reason}; leave out frozen int8`),
    );
    expect(existsSync(join(out, 'model.onnx'))).toBe(false);
  });
});

describe('the photos to calibrate with', () => {
  it('are as many of every class, and the same for the same seed', () => {
    const labelsOf = (photos: readonly { label: number }[]) => photos.map(({ label }) => label).sort();
    const chosen = calibrationPhotos(dataset, 18, 1);
    expect(labelsOf(chosen)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]);
    expect(calibrationPhotos(dataset, 18, 1)).toEqual(chosen);
    expect(calibrationPhotos(dataset, 18, 2)).not.toEqual(chosen);
  });
});
