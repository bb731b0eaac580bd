import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { readLabels } from '../../src/artifacts/labelsMetadata.js';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { readPreprocessing } from '../../src/artifacts/preprocessing.js';
import { decodePixels } from '../../src/data/decode.js';
import { metadataOf, readModel } from '../../src/onnx/model.js';
import { elementCount, toNumbers, tensorOfProto } from '../../src/onnx/tensor.js';
import { EFFICIENTNET_LITE0, EFFICIENTNET_LITE0_FLOAT32, SCENES } from '../models.js';

const model = readModel(EFFICIENTNET_LITE0);

describe('EfficientNet-Lite0 as it is in the repository', () => {
  it('stores most of its weights as float16, each with a Cast, and normalizations as float32', () => {
    const initializers = model.proto.graph?.initializer ?? [];
    const halves = initializers.filter(({ dataType }) => dataType === 10).map(({ name }) => name);
    const casts = model.proto.graph?.node.flatMap(({ opType, input }) => (opType === 'Cast' ? input : []));
    expect(new Set(casts)).toEqual(new Set(halves));
    expect(halves.every((name) => name.endsWith('.weight') && !name.includes('_bn'))).toBe(true);
    const count = (dtype: number) =>
      initializers.reduce(
        (sum, { dataType, dims }) => sum + (dataType === dtype ? elementCount(dims.map(Number)) : 0),
        0,
      );
    expect(count(10)).toBeGreaterThan(0.9 * (count(1) + count(10)));
    // The published count of EfficientNet-Lite0's parameters: 4.65 million (4,652,008), without statistics.
    const parameters = initializers.filter(({ name }) => name.includes('.') && !name.includes('running'));
    expect(parameters.reduce((sum, { dims }) => sum + elementCount(dims.map(Number)), 0)).toBe(4652008);
  });

  it('is read with the names of its initializers', () => {
    const { layers, imageSize } = classifierOf(model);
    expect(imageSize).toEqual([224, 224]);
    expect(layers.fcs.map(({ parameters }) => parameters.map(({ name, dtype }) => [name, dtype]))).toEqual([
      [
        ['_fc.weight', 'float32'],
        ['_fc.bias', 'float32'],
      ],
    ]);
    expect(layers.convs.at(-1)?.parameters[0]?.name).toBe('_conv_head.weight');
  });

  it('names its classes, its preprocessing, its licence and its source', () => {
    const metadata = metadataOf(model.proto);
    const labels = readLabels(metadata.get('labels') ?? '', 'lite0');
    expect(labels).toHaveLength(1000);
    // Numbers of ILSVRC 2012.
    expect([0, 134, 207, 281, 388, 517, 963, 999].map((index) => labels[index])).toEqual([
      'tench',
      'crane (bird)',
      'golden retriever',
      'tabby',
      'giant panda',
      'crane (machine)',
      'pizza',
      'toilet tissue',
    ]);
    const { mean, std, ...rest } = readPreprocessing(metadata.get('preprocessing') ?? '');
    expect(rest).toEqual({ width: 224, height: 224, resize: 'crop', cropShare: 0.875 });
    for (const byte of [0, 127, 255]) expect((byte / 255 - mean[0]) / std[0]).toBeCloseTo((byte - 127) / 128, 12);
    expect(metadata.get('license')).toBe('Apache-2.0');
    expect(readFileSync(join(EFFICIENTNET_LITE0, '..', 'NOTICE'), 'utf8')).toContain(metadata.get('source'));
  });

  it.skipIf(!existsSync(EFFICIENTNET_LITE0_FLOAT32))(
    'has the operators of the original, and its numbers or a neighbour of them in float16',
    () => {
      const original = readModel(EFFICIENTNET_LITE0_FLOAT32).proto.graph;
      const ours = new Map(model.proto.graph?.initializer.map((each) => [each.name, each]));
      const known = original?.initializer.filter(({ name }) => ours.has(name)) ?? [];
      expect(known).toHaveLength(ours.size);
      const half = classifierOf(model);
      const stored = new Map(half.graph.nodes.flatMap(({ inputs }) => inputs).map((value) => [value?.name, value]));
      for (const each of known) {
        const numbers = stored.get(each.name)?.constant;
        if (!numbers) throw new Error(`nothing reads ${each.name}`);
        const expected = toNumbers(tensorOfProto(each));
        const worst = toNumbers(numbers).reduce(
          (most, value, index) =>
            Math.max(most, Math.abs(value - (expected[index] ?? NaN)) - 2 ** -10 * Math.abs(expected[index] ?? NaN)),
          0,
        );
        expect(worst, each.name).toBeLessThanOrEqual(2 ** -24);
      }
      const operators = (ops: { opType: string }[] | undefined) =>
        ops?.map(({ opType }) => opType).filter((op) => op !== 'Cast');
      expect(operators(model.proto.graph?.node)).toEqual(operators(original?.node));
    },
  );

  it.skipIf(!existsSync(EFFICIENTNET_LITE0_FLOAT32) || !existsSync(SCENES))(
    'agrees with the original on 20 photos: the likeliest class, and logits to 0.01',
    async () => {
      const preprocessing = readPreprocessing(metadataOf(model.proto).get('preprocessing') ?? '');
      const sessions = await Promise.all(
        [EFFICIENTNET_LITE0, EFFICIENTNET_LITE0_FLOAT32].map((path) => ort.InferenceSession.create(path)),
      );
      const photos = readdirSync(SCENES).flatMap((folder) =>
        readdirSync(join(SCENES, folder))
          .slice(0, 4)
          .map((file) => join(SCENES, folder, file)),
      );
      for (const photo of photos.slice(0, 20)) {
        const pixels = await decodePixels(photo, preprocessing);
        const area = 224 * 224;
        const data = Float32Array.from({ length: 3 * area }, (_, at) =>
          Math.fround(((pixels[(at % area) * 3 + Math.floor(at / area)] ?? 0) - 127) / 128),
        );
        const [ours = [], original = []] = await Promise.all(
          sessions.map(async (session) => {
            const { logits } = await session.run({ input: new ort.Tensor('float32', data, [1, 3, 224, 224]) });
            return Array.from(logits?.data as Float32Array);
          }),
        );
        expect(ours.indexOf(Math.max(...ours))).toBe(original.indexOf(Math.max(...original)));
        expect(Math.max(...ours.map((score, index) => Math.abs(score - (original[index] ?? NaN))))).toBeLessThan(0.01);
      }
      for (const session of sessions) await session.release();
    },
  );
});
