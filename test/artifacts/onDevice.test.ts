import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { loadArtifacts, readManifest } from '../../src/artifacts/load.js';
import { compileOnDevice } from '../../src/artifacts/onDevice.js';
import { readOnDeviceCheckpoint, writeOnDeviceArtifacts } from '../../src/artifacts/onDeviceFiles.js';
import { encodeTuned } from '../../src/export/run.js';
import { readModel } from '../../src/onnx/model.js';
import { optimizers } from '../../src/optim/optimizer.js';
import { SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/vendor/${name}`, import.meta.url));
const options: CompileOptions = { policy: 'F1C1', classes: ['a', 'b', 'c'], batch: 4 };

describe('artifacts of on-device training', () => {
  it('train what our own artifacts train, in the order that the runtime asks for', () => {
    for (const [path, policy] of [
      [SMALL_CNN, 'F1C0'],
      [SMALL_CNN, 'full'],
      [TINY_RESNET, 'blocks:1'],
      [TINY_MBCONV, 'bias'],
    ] as const) {
      const source = readModel(path);
      const { training, evaluation, checkpoint, manifest } = compileOnDevice(source, { ...options, policy });
      const own = compile(source, { ...options, policy }).manifest;
      expect(manifest.parameters.map(({ name, shape }) => [name, shape])).toEqual(
        own.parameters.map(({ name, shape }) => [name, shape]),
      );
      const trained = own.parameters.map(({ name }) => name);
      const frozen = [...checkpoint.frozen.keys()];
      expect([...checkpoint.trainable.keys()]).toEqual(trained);
      expect(training.graph?.input.map(({ name }) => name)).toEqual([
        'pixels',
        'labels',
        ...trained,
        ...frozen,
        ...trained.map((name) => `${name}_grad.accumulation.buffer`),
        'lazy_reset_grad',
      ]);
      expect(training.graph?.output.map(({ name }) => name)).toEqual([
        'loss',
        'logits',
        ...trained.map((name) => `${name}_grad.accumulation.out`),
      ]);
      expect(evaluation.graph?.input.map(({ name }) => name)).toEqual(['pixels', 'labels', ...trained, ...frozen]);
      // Nothing is computed twice.
      const convolutions = (graph: typeof training.graph) =>
        graph?.node.filter(({ opType }) => opType === 'Conv').length;
      expect(convolutions(evaluation.graph)).toBeLessThanOrEqual(convolutions(source.proto.graph) ?? NaN);
      // What has a value in the checkpoint has none in the graphs.
      const parameters = new Set([...trained, ...frozen]);
      for (const { graph } of [training, evaluation])
        expect(graph?.initializer.filter(({ name }) => parameters.has(name))).toEqual([]);
    }
  });

  it('say what their runtime has not, before anything is written', () => {
    const source = readModel(SMALL_CNN);
    const refused: [Partial<CompileOptions>, RegExp][] = [
      [
        { optimizer: optimizers.lamb },
        /has AdamW, and SGD without momentum or decay, got `lamb`; choose optimizer adamw/,
      ],
      [{ optimizer: optimizers.sgd }, /optimizer sgd momentum 0 weightDecay 0/],
      [{ averageDecay: 0.9 }, /leave out averageDecay/],
      [{ learningRateMultipliers: [{ glob: 'head', multiplier: 10 }] }, /leave out learningRateMultipliers/],
      [{ microBatch: 2 }, /leave out accumulate/],
      [{ batchNorm: 'batch' }, /leave out batchNorm batch/],
      [{ dropout: 0.5 }, /leave out dropout/],
      [{ boundaryDtype: 'float16' }, /leave out boundaryDtype/],
    ];
    for (const [more, message] of refused)
      expect(() => compileOnDevice(source, { ...options, ...more })).toThrow(message);
  });

  it('decay everything, or nothing, and say so', () => {
    const source = readModel(SMALL_CNN);
    const compiled = (more: Partial<CompileOptions>) => compileOnDevice(source, { ...options, ...more }).manifest;
    expect(compiled({}).notes.at(-1)).toMatch(/decays biases/);
    expect(compiled({ decayAll: true }).notes).toEqual([]);
    expect(compiled({ optimizer: { ...optimizers.adamw, weightDecay: 0 } }).notes).toEqual([]);
  });

  it('are written whole, with a page about them, and are not taken for our own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const manifest = await writeOnDeviceArtifacts(compileOnDevice(readModel(SMALL_CNN), options), folder);
    expect(readManifest(folder)).toEqual(manifest);
    expect(() => loadArtifacts(folder)).toThrow(/they are for onnxruntime-training/);
    const page = readFileSync(join(folder, 'README.md'), 'utf8');
    expect(page).toContain('uint8 [4, 32, 32, 3]');
    expect(page).toContain('from 0 (a) to 2 (c)');
  });

  it('give back, once trained, what the vendor itself exports', async () => {
    const expected = z
      .object({ shape: z.array(z.number()), pixels: z.array(z.number()), logits: z.array(z.array(z.number())) })
      .parse(JSON.parse(readFileSync(fixture('tiny_resnet.json'), 'utf8')));
    const source = readModel(TINY_RESNET);
    const { manifest } = compileOnDevice(source, options);
    const complete = { ...manifest, files: {} };
    const parameters = readOnDeviceCheckpoint(fixture('tiny_resnet.checkpoint'), complete);
    const session = await ort.InferenceSession.create(encodeTuned(source, { manifest: complete, parameters }));
    const { mean, std } = manifest.preprocessing;
    const [images = 0, height = 0, width = 0] = expected.shape;
    const area = height * width;
    const data = new Float32Array(images * 3 * area);
    expected.pixels.forEach((value, place) => {
      const [channel, position] = [place % 3, Math.floor(place / 3)];
      const to = (Math.floor(position / area) * 3 + channel) * area + (position % area);
      data[to] = (value / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
    });
    const feeds = { [session.inputNames[0] ?? '']: new ort.Tensor('float32', data, [images, 3, height, width]) };
    const results = await session.run(feeds);
    const got = results[session.outputNames[0] ?? '']?.data as Float32Array;
    expected.logits.flat().forEach((value, index) => expect(got[index]).toBeCloseTo(value, 4));

    const others = { ...compileOnDevice(source, { ...options, policy: 'full' }).manifest, files: {} };
    expect(() => readOnDeviceCheckpoint(fixture('tiny_resnet.checkpoint'), others)).toThrow(
      /trained with other artifacts/,
    );
    expect(() => readOnDeviceCheckpoint('nowhere', complete)).toThrow(/cannot read nowhere: ENOENT/);
  });
});
