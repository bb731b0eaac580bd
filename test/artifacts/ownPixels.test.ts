import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { encodeModel } from '../../src/onnx/model.js';
import type { ModelProto } from '../../src/onnx/onnx_pb.js';
import { floatTensor, protoOfTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { changed, fileOf, int, ints, largestDifference, named, node, oddFile, soundModel } from '../plain/oddModels.js';

const random = new Random(3);
const pixelsOf = (side: number) => Uint8Array.from({ length: 2 * side * side * 3 }, () => random.integer(256));

/** The logits of two images by the frozen and the trained part, and by the exported model in its own session. */
async function bothWays(proto: ModelProto, side: number, pixels: Uint8Array, preprocessing?: string, policy = 'F1C0') {
  const options = { policy, classes: ['a', 'b', 'c'], batch: 2, ...(preprocessing ? { preprocessing } : {}) };
  const { manifest, frozen, evaluation, state } = compile(fileOf(proto), options);
  const values = new Map<string, ort.Tensor>([['pixels', new ort.Tensor('uint8', pixels, [2, side, side, 3])]]);
  for (const [name, tensor] of state)
    values.set(name, new ort.Tensor('float32', tensor.data as Float32Array, tensor.dims));
  for (const model of frozen ? [frozen, evaluation] : [evaluation]) {
    const session = await ort.InferenceSession.create(encodeModel(model), { intraOpNumThreads: 1 });
    const feeds = Object.fromEntries(session.inputNames.map((name) => [name, values.get(name) as ort.Tensor]));
    for (const [name, value] of Object.entries(await session.run(feeds))) values.set(name, value);
    await session.release();
  }
  const tuned = tunedModel(proto, manifest, state);
  const classifier = await ImageClassifier.load(tuned, encodeModel(tuned), { name: 'tuned.onnx' });
  const exported = Array.from(await classifier.run(pixels, 2));
  await classifier.close();
  return { manifest, tuned, exported, parts: Array.from(values.get('logits')?.data as Float32Array) };
}

/** The sound model, taking bytes in planes that it normalises itself. */
const planesOfBytes = () =>
  changed(soundModel(), (graph) => {
    const type = graph.input[0]?.type?.tensorType;
    if (type) type.elemType = 2;
    graph.node.unshift(node('Cast', ['image'], ['levels'], [int('to', 1)]), node('Div', ['levels', 'most'], ['small']));
    graph.initializer.push(protoOfTensor('most', floatTensor([], [255])));
    named(graph, 'conv1').input[0] = 'small';
  });

describe('a model that takes bytes', () => {
  it.each([
    ['[N, H, W, 3]', () => oddFile('h10_uint8_nhwc.onnx'), 32],
    ['[N, 3, H, W]', planesOfBytes, 8],
  ])('%s: prepares them by itself, also in what is exported', async (_, make, side) => {
    const odd = make();
    const { manifest, exported, parts } = await bothWays(odd, side, pixelsOf(side), 'torchvision');
    expect(largestDifference(exported, parts)).toBeLessThan(1e-4);
    expect(manifest.notes.join()).toMatch(/takes bytes, and the model prepares them by itself/);
    expect(manifest.warnings).toEqual([]);
    // One level is one level.
    expect(manifest.preprocessing).toMatchObject({ mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] });
  });
});

describe('a model that takes grey images', () => {
  it('gets the luma that Pillow makes of colours', async () => {
    // Image.new('RGB', (1, 1), colour).convert('L').getpixel((0, 0)) of Pillow 13.
    const pillow: readonly (readonly [number, number, number, number])[] = [
      [255, 0, 0, 76],
      [0, 255, 0, 150],
      [0, 0, 255, 29],
      [255, 255, 255, 255],
      [10, 200, 30, 124],
      [1, 1, 1, 1],
      [123, 45, 67, 71],
    ];
    // The first convolution is looked through: its result for a grey level is what it is for the level in all three channels.
    for (const [red, green, blue, luma] of pillow) {
      const odd = oddFile('h11_grayscale.onnx');
      const colour = Uint8Array.from({ length: 2 * 28 * 28 * 3 }, (_, at) => [red, green, blue][at % 3] ?? 0);
      const grey = colour.map(() => luma);
      const [one, other] = [await bothWays(odd, 28, colour), await bothWays(odd, 28, grey)];
      expect(largestDifference(one.parts, other.parts)).toBe(0);
      expect(largestDifference(one.exported, one.parts)).toBeLessThan(1e-5);
    }
  });

  it('is one function with the preprocessing in the trained part too', async () => {
    const { exported, parts } = await bothWays(oddFile('h11_grayscale.onnx'), 28, pixelsOf(28), 'unit', 'full');
    expect(largestDifference(exported, parts)).toBeLessThan(1e-5);
  });

  it('takes the channels last too', async () => {
    const odd = changed(oddFile('h11_grayscale.onnx'), (graph) => {
      const dims = graph.input[0]?.type?.tensorType?.shape?.dim;
      const [input] = graph.input;
      if (!dims || !input) throw new Error('no image');
      dims.push(...dims.splice(1, 1));
      const conv = graph.node[0];
      if (!conv) throw new Error('no convolution');
      graph.node.unshift(node('Transpose', [input.name], ['planes'], [ints('perm', [0, 3, 1, 2])]));
      conv.input[0] = 'planes';
    });
    const { exported, parts } = await bothWays(odd, 28, pixelsOf(28));
    expect(largestDifference(exported, parts)).toBeLessThan(1e-5);
  });
});
