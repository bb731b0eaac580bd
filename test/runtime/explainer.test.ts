import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { drawHeatMap } from '../../src/data/heatMap.js';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel, writeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { Explainer } from '../../src/runtime/explainer.js';

const preprocessing = {
  width: 8,
  height: 8,
  resize: 'crop' as const,
  mean: [0, 0, 0] as [number, number, number],
  std: [1, 1, 1] as [number, number, number],
};
const random = new Random(3);
const draw = (dims: readonly number[]) =>
  floatTensor(
    dims,
    Array.from({ length: elementCount(dims) }, () => 2 * random.next() - 1),
  );

it('gives the class activation map of a network that ends in pooling and one FC layer', async () => {
  // There Grad-CAM is CAM (Selvaraju et al. 2017, section 3): the maps weighted by the class's row of the FC layer.
  const [channels, classes] = [4, 3];
  const [convWeight, fcWeight] = [draw([channels, 3, 3, 3]), draw([classes, channels])];
  const g = new Builder(18);
  const x = g.input('x', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const map = g.relu(g.conv(x, g.constant('w', convWeight), { pads: [1, 1, 1, 1], strides: [2, 2] }));
  const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [map])]);
  g.output('logits', g.gemm(pooled, g.constant('fc', fcWeight), { transB: true }));
  const path = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'model.onnx');
  await writeModel(modelOfGraph(g.graph, 'test'), path);
  g.output('map', map);
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
    intraOpNumThreads: 1,
  });

  const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, () => 256 * random.next());
  const image = new Float32Array(3 * 64);
  pixels.forEach((value, index) => (image[(index % 3) * 64 + Math.floor(index / 3)] = value / 255));
  const results = await session.run({ x: new ort.Tensor('float32', image, [1, 3, 8, 8]) });
  const maps = results['map']?.data as Float32Array;

  const explainer = await Explainer.open(path, preprocessing, classes);
  for (let chosen = 0; chosen < classes; chosen++) {
    const expected = Array.from({ length: 16 }, (_, place) =>
      Math.max(
        0,
        Array.from(
          { length: channels },
          (__, c) => (fcWeight.data[chosen * channels + c] as number) * (maps[c * 16 + place] ?? 0),
        ).reduce((a, b) => a + b),
      ),
    );
    const largest = Math.max(...expected) || 1;
    const { width, height, heat } = await explainer.explain(pixels, chosen);
    expect([width, height]).toEqual([4, 4]);
    heat.forEach((value, place) => expect(value).toBeCloseTo((expected[place] ?? 0) / largest, 4));
  }
  await explainer.close();
});

it('leaves the photo as it is where there is no heat, and warms it where there is', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'grey.png');
  await sharp({ create: { width: 16, height: 16, channels: 3, background: '#808080' } })
    .png()
    .toFile(file);
  const heat = Float32Array.from({ length: 16 }, (_, place) => (place % 4 < 2 ? 0 : 1));
  const picture = await drawHeatMap(file, preprocessing, { heat, width: 4, height: 4 });
  const { data, info } = await sharp(picture).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([384, 384, 3]);
  const at = (x: number) => [...data.subarray(3 * (192 * 384 + x), 3 * (192 * 384 + x) + 3)];
  expect(at(4)).toEqual([128, 128, 128]);
  // 35 % of the photo and 65 % of the hottest colour.
  at(380).forEach((value, channel) =>
    expect(Math.abs(value - (0.35 * 128 + 0.65 * ([252, 255, 164][channel] ?? 0)))).toBeLessThan(2),
  );
});
