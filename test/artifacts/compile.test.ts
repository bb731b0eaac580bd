import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { FILES, writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { inspect } from '../../src/artifacts/inspectModel.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { encodeModel, readModel } from '../../src/onnx/model.js';
import { EFFICIENTNET_B0, MOBILEONE_S0, SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';

const options = (policy: string): CompileOptions => ({
  policy,
  classes: ['a', 'b', 'c'],
  batch: 2,
  preprocessing: ([height, width]) => ({
    height,
    width,
    resize: 'crop',
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  }),
});
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

describe('compile, on the small CNN', () => {
  const model = readModel(SMALL_CNN);

  it('trains the parameters of the last layers that a policy names', () => {
    const names = (policy: string) => compile(model, options(policy)).manifest.parameters.map(({ name }) => name);
    expect(names('F1C0')).toEqual(['fc2.weight', 'fc2.bias']);
    expect(names('F2C0')).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias']);
    expect(names('F1C1')).toEqual(['conv4.weight', 'conv4.bias', 'fc2.weight', 'fc2.bias']);
    expect(names('FxC4')).toEqual(names('full'));
    expect(names('full')).toHaveLength(12);
  });

  it('refuses a policy that asks for more layers than there are, and names one that fits', () => {
    expect(() => compile(model, options('F1C5'))).toThrow(/has 2 and 4; choose F1C4/);
    expect(() => compile(model, options('F3C0'))).toThrow(/choose F2C0/);
  });

  it('cuts where the boundary is small: the pixels themselves when all layers train', () => {
    const boundary = (policy: string) => compile(model, options(policy)).manifest;
    expect(boundary('F1C0').boundary.map(({ shape }) => shape)).toEqual([[148]]);
    expect(boundary('F1C1').boundary.map(({ shape }) => shape)).toEqual([[128, 8, 8]]);
    expect(boundary('full').boundary).toEqual([{ name: 'pixels', dtype: 'uint8', shape: [32, 32, 3] }]);
    expect(boundary('full').cost.boundaryBytes).toBe(32 * 32 * 3);
    expect(boundary('full').cost.frozenMultiplyAdds).toBe(0);
  });

  it('keeps the pixels beside what is frozen where both are the boundary', () => {
    // On a tiny map the pixels are smaller than what the shortcut reads.
    const { manifest, frozen } = compile(readModel(TINY_RESNET), options('F1C1'));
    expect(manifest.boundary.map(({ name }) => name)).toEqual([
      'pixels',
      '/blocks/blocks.1/second/second.1/BatchNormalization_output_0',
    ]);
    expect(frozen?.graph?.output.map(({ name }) => name)).toEqual([manifest.boundary[1]?.name]);
  });

  it.each(['F1C0', 'F1C1', 'F2C2', 'full'])(
    'gives frozen and trained parts that together are the model (%s)',
    async (policy) => {
      // With the source's own head put back, the evaluation graph must give the source's logits.
      const compiled = compile(model, {
        ...options(policy),
        classes: Array.from({ length: 20 }, (_, index) => String(index)),
      });
      const source = await ort.InferenceSession.create(encodeModel(model.proto));
      const pixels = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, index) => (index * 7919) % 256);
      const input = new Float32Array(pixels.length);
      pixels.forEach((value, index) => {
        const [image, place, channel] = [Math.floor(index / 3072), Math.floor((index % 3072) / 3), index % 3];
        input[image * 3072 + channel * 1024 + place] = (value / 255 - 0.5) / 0.25;
      });
      const expected = await source.run({ input: new ort.Tensor('float32', input, [2, 3, 32, 32]) });

      const feeds: Record<string, ort.Tensor> = { pixels: new ort.Tensor('uint8', pixels, [2, 32, 32, 3]) };
      const boundary = compiled.frozen
        ? await (await ort.InferenceSession.create(encodeModel(compiled.frozen))).run(feeds)
        : feeds;
      const initializers = new Map(model.proto.graph?.initializer.map((each) => [each.name, each]));
      const parameters = compiled.manifest.parameters.map(({ name, shape }) => {
        const raw = Uint8Array.from(initializers.get(name)?.rawData ?? []);
        return [name, new ort.Tensor('float32', new Float32Array(raw.buffer), shape)] as const;
      });
      const evaluation = await ort.InferenceSession.create(encodeModel(compiled.evaluation));
      const got = await evaluation.run({ ...boundary, ...Object.fromEntries(parameters) });
      const [a, b] = [expected['logits']?.data as Float32Array, got['logits']?.data as Float32Array];
      expect(Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? NaN))))).toBeLessThan(1e-4);
    },
  );

  it('lists which layers a policy trains wholly, in part, and in which block', () => {
    const { layers, blocks, policy } = inspect(readModel(TINY_MBCONV), { policy: 'bias', batch: 2 });
    expect(blocks).toBe(3);
    const called = (name: string) => layers.find((layer) => layer.name === name);
    // Shifts of 24 channels of a 1×1 convolution from 12 channels with scale and shift.
    expect(called('/blocks/blocks.1/expand/expand.0/Conv')).toMatchObject({
      policyName: 'C7',
      block: 2,
      parameters: 12 * 24 + 2 * 24,
      trainedParameters: 24,
    });
    expect(called('/blocks/blocks.1/gate/reduce/Conv')).toMatchObject({ policyName: '', block: 2 });
    expect(called('/stem/stem.0/Conv')).toMatchObject({ policyName: 'C11', block: undefined });
    expect(policy?.notes).toHaveLength(1);
    expect(inspect(readModel(TINY_MBCONV), { policy: 'F1C2', batch: 2 }).policy?.warnings).toHaveLength(1);
  });

  it('writes artifacts that load, and that are refused once they are changed', async () => {
    const out = folder();
    const manifest = await writeArtifacts(compile(model, options('F1C1')), out);
    const loaded = loadArtifacts(out);
    expect(loaded.manifest).toEqual(manifest);
    expect(loaded.state.get('fc2.weight')?.dims).toEqual([3, 148]);
    expect(manifest.source.sha256).toBe(model.sha256);

    appendFileSync(join(out, FILES.training), 'x');
    expect(() => loadArtifacts(out)).toThrow(/training_model.onnx is not the file that was compiled/);
    rmSync(join(out, FILES.training));
    expect(() => loadArtifacts(out)).toThrow(/compile them again/);
    const text = readFileSync(join(out, FILES.manifest), 'utf8');
    writeFileSync(join(out, FILES.manifest), text.replace('"batch": 2', '"batch": -2'));
    expect(() => loadArtifacts(out)).toThrow(/batch/);
    writeFileSync(join(out, FILES.manifest), text.slice(0, 100));
    expect(() => loadArtifacts(out)).toThrow(/no JSON/);
  });

  it('gives the same bytes for the same seed, and another head for another', () => {
    const head = (seed: number) => compile(model, { ...options('F1C0'), seed }).state.get('fc2.weight')?.data;
    expect(head(1)).toEqual(head(1));
    expect(head(1)).not.toEqual(head(2));
    const training = () => Buffer.from(encodeModel(compile(model, options('full')).training));
    expect(training().equals(training())).toBe(true);
  });

  it('counts what a policy costs by the arithmetic of the layers', () => {
    const report = inspect(model, { policy: 'F1C1', batch: 2, classes: 10 });
    const conv4 = report.layers.find(({ name }) => name === 'conv4');
    expect(conv4).toMatchObject({
      policyName: 'C1',
      parameters: 128 * 128 * 9 + 128,
      multiplyAdds: 8 * 8 * 128 * 128 * 9,
      trained: true,
    });
    expect(report.policy?.trainableParameters).toBe(128 * 128 * 9 + 128 + 148 * 10 + 10);
    expect(report.parameters).toBe(544_084 + 148 * 20 + 20);
  });
});

describe.skipIf(!existsSync(EFFICIENTNET_B0))('compile, on EfficientNet-B0 (skipped where the file is missing)', () => {
  it('counts 49 convolutions on the main path, and leaves squeeze-excite out', () => {
    const { layers } = inspect(readModel(EFFICIENTNET_B0), { batch: 1 });
    expect(layers.filter(({ policyName }) => policyName.startsWith('C'))).toHaveLength(49);
    expect(layers.filter(({ policyName }) => policyName === '')).toHaveLength(32);
  });

  it.each([
    ['F1C0', [1280]],
    // Kept in rows, one for each place: what follows works place by place.
    ['F1C1', [49, 320]],
    ['full', [224, 224, 3]],
  ])('cuts %s at %j', (policy, shape) => {
    expect(compile(readModel(EFFICIENTNET_B0), options(policy)).manifest.boundary.map((each) => each.shape)).toEqual([
      shape,
    ]);
  });

  it('trains each convolution with its BatchNormalization', () => {
    const { manifest } = compile(readModel(EFFICIENTNET_B0), options('F1C1'));
    expect(manifest.cost.trainableParameters).toBe(320 * 1280 + 2 * 1280 + 1280 * 3 + 3);
  });
});

describe.skipIf(!existsSync(MOBILEONE_S0))('compile, on MobileOne-S0 (skipped where the file is missing)', () => {
  it('takes the classes for the result, not the features beside them', () => {
    const { manifest } = compile(readModel(MOBILEONE_S0), options('F1C1'));
    expect(manifest.layers.map(({ kind }) => kind)).toEqual(['conv', 'fc']);
  });
});
