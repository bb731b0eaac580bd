import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { Builder } from '../../src/graph/builder.js';
import { int } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { readModel, writeModel } from '../../src/onnx/model.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { LogitComparison, toleranceOf } from '../../src/train/agreement.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { Trainer } from '../../src/train/trainer.js';
import { cli } from '../cli/cli.js';
import { SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const row = (...logits: number[]) => Float32Array.from(logits);

describe('logits compared', () => {
  it('differ by a share of the largest of all', () => {
    const comparison = new LogitComparison(false);
    comparison.add(row(1, 2, -8), row(1, 2, -8));
    comparison.add(row(3, 1, 0), row(3, 1.0625, 0));
    // 0.0625 is 1/128 of 8.
    expect(comparison.result(0.01)).toEqual({
      ...{ photos: 2, agreeing: 2, largestDifference: 0.0625, scale: 8, tolerance: 0.01, differing: 0, ok: true },
    });
    expect(comparison.result(0.007)).toMatchObject({ differing: 1, ok: false });
  });

  it('of a photo whose best two are all but equal may choose the other', () => {
    const comparison = new LogitComparison(false);
    comparison.add(row(1, 1 + 2 ** -20, 0), row(1 + 2 ** -20, 1, 0));
    expect(comparison.result(1e-3)).toMatchObject({ photos: 1, agreeing: 0, differing: 0, ok: true });
  });

  it('that are no numbers agree with nothing, not even with themselves', () => {
    for (const given of [row(NaN, NaN), row(NaN, 0), row(Infinity, 0), row(0, -Infinity)]) {
      const comparison = new LogitComparison(false);
      comparison.add(row(1, 0), given);
      expect(comparison.result(0.25)).toMatchObject({ largestDifference: null, differing: 1, ok: false });
    }
    const comparison = new LogitComparison(false);
    comparison.add(row(NaN, NaN), row(NaN, NaN));
    expect(comparison.result(0.25)).toMatchObject({ agreeing: 0, ok: false });
  });

  it('that come of probabilities lack what all of a photo have in common', () => {
    const shares = [0.7, 0.2, 0.1].map(Math.log);
    const comparison = new LogitComparison(true);
    comparison.add(row(...shares.map((each) => each + 5)), row(...shares));
    expect(comparison.result(1e-6)).toMatchObject({ agreeing: 1, ok: true });
    const apart = new LogitComparison(false);
    apart.add(row(...shares.map((each) => each + 5)), row(...shares));
    expect(apart.result(1e-6)).toMatchObject({ ok: false });
  });

  it('have the tolerance of the numbers that a training computes in', () => {
    const float = { boundaryDtype: 'float32', frozen: 'float32', provider: 'cpu' } as const;
    const each = [
      toleranceOf(float),
      toleranceOf({ ...float, boundaryDtype: 'float16' }),
      toleranceOf({ ...float, provider: 'cuda' }),
      toleranceOf({ ...float, frozen: 'int8' }),
    ];
    expect(each).toEqual([...each].sort((a, b) => a - b));
  });
});

describe('a training', () => {
  let pictures: string;
  let dataset: Dataset;
  beforeAll(async () => {
    pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 4, size: 32, seed: 5 });
    dataset = await ImageFolder.open(pictures, { seed: 0 });
  });
  const options = (more: Partial<TrainOptions>): TrainOptions => ({
    ...{ model: readModel(SMALL_CNN), dataset, out: folder(), policy: 'F1C0', threads: 1, epochs: 1, batch: 8 },
    ...more,
  });

  it.each([
    [{}],
    [{ boundaryDtype: 'float16' }],
    [{ frozen: 'int8' }],
    [{ policy: 'full' }],
    [{ augmentation: { flip: 0.5 }, views: 2 }],
    [{ averageDecay: 0.9 }],
  ] as [Partial<TrainOptions>][])('exports what it has evaluated: %j', async (more) => {
    const { verified } = await new Trainer(options(more)).run();
    expect(verified).toMatchObject({ photos: 24, differing: 0, ok: true });
  });

  it('says so where the photos are others by its end', async () => {
    const at = join(folder(), 'pictures');
    await drawPictures(at, { set: 'demo', trainPerClass: 4, valPerClass: 4, size: 32, seed: 5 });
    const photos = await ImageFolder.open(at, { seed: 0 });
    const { verified } = await new Trainer(options({ dataset: photos })).run((event) => {
      const [first, ...others] = photos.val;
      if (event.type === 'epoch') for (const { path } of others) writeFileSync(path, readFileSync(first?.path ?? ''));
    });
    expect(verified.differing).toBeGreaterThan(10);
    expect(verified).toMatchObject({ photos: 24, ok: false });
  });

  it('exits with 1 where the model computes otherwise for one photo than for several, and keeps the file', async () => {
    // The mean of all photos of a run is taken away.
    const g = new Builder(18);
    const random = new Random(3);
    const weight = (name: string, dims: readonly number[]) =>
      g.constant(
        name,
        floatTensor(
          dims,
          Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
        ),
      );
    const image = g.input('image', 'float32', [{ batch: 1 }, 3, 16, 16]);
    const mean = g.reduceMean(image, [0, 1, 2, 3], true);
    const x = g.relu(g.op('Conv', [g.sub(image, mean), weight('conv.weight', [8, 3, 3, 3])], {}, { name: 'conv' }));
    const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [x], {}, { name: 'pool' })], { axis: int(1) });
    g.output('logits', g.op('Gemm', [pooled, weight('fc.weight', [6, 8])], { transB: int(1) }, { name: 'fc' }));
    const at = folder();
    mkdirSync(join(at, 'run'));
    const model = join(at, 'model.onnx');
    await writeModel(modelOfGraph(g.graph, 'batch'), model);
    const flags = ['--model', model, '--data', pictures, '--policy', 'F1C0', '--epochs', '1', '--threads', '1'];
    flags.push('--preprocessing', 'unit');
    const { status, stderr } = cli(['train', ...flags, '--no-cache', '--quiet', '--out', join(at, 'run')]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/model\.onnx is not what was evaluated: on \d+ of 24 photos its logits differ by up to/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    const summary = JSON.parse(readFileSync(join(at, 'run', 'summary.json'), 'utf8')) as { model: string };
    expect(summary).toMatchObject({ verified: { ok: false, tolerance: 0.001 } });
    expect(readModel(summary.model).sha256).toHaveLength(64);
  });
});
