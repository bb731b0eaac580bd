import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { plainForm } from '../../src/plain/plainForm.js';
import { type ModelProto, TensorShapeProto_DimensionSchema, ValueInfoProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floatTensor, protoOfTensor } from '../../src/onnx/tensor.js';
import {
  changed,
  differenceOfParts,
  fileOf,
  images,
  int,
  ints,
  largestDifference,
  named,
  node,
  oddFile,
  run,
  soundModel,
} from './oddModels.js';

const open = (name: string) => create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: name } });

function withDims(model: ModelProto, dims: (string | number)[]): ModelProto {
  return changed(model, ({ input: [image] }) => {
    const shape = image?.type?.tensorType?.shape;
    if (shape)
      shape.dim = dims.map((dim) =>
        typeof dim === 'string'
          ? open(dim)
          : create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(dim) } }),
      );
  });
}

/** The sound model with a Transpose before it, and what nodes there are before that. */
const channelsLast = () =>
  changed(soundModel(), (graph) => {
    named(graph, 'conv1').input[0] = 'planes';
    graph.node.unshift(
      node('Sub', ['image', 'offset'], ['moved']),
      node('Transpose', ['moved'], ['planes'], [ints('perm', [0, 3, 1, 2])]),
    );
    graph.initializer.push(protoOfTensor('offset', floatTensor([3], [0.1, 0.2, 0.3])));
  });

describe('an image whose dimensions are open', () => {
  it.each([
    ['all of [N, C, H, W]', () => withDims(soundModel(), ['batch', 'num_channels', 'height', 'width']), 1],
    ['the channels alone', () => withDims(soundModel(), ['batch', 'num_channels', 8, 8]), 1],
    ['all of [N, H, W, C]', () => withDims(channelsLast(), ['a', 'b', 'c', 'd']), 3],
    ['the sides of [N, H, W, 3]', () => withDims(channelsLast(), ['a', 'b', 'c', 3]), 3],
  ])('%s: has the channels of the first convolution, and the sides that are asked for', async (_, make, axis) => {
    const odd = make();
    const { image } = classifierOf(fileOf(odd), { size: 8 });
    expect(image.shape).toEqual(axis === 1 ? [{ batch: 1 }, 3, 8, 8] : [{ batch: 1 }, 8, 8, 3]);
    const [input] = plainForm(odd, 'odd.onnx').proto.graph?.input ?? [];
    expect(input?.type?.tensorType?.shape?.dim[axis]?.value.value).toBe(3n);
    expect(await differenceOfParts(odd, 'F1C1', 8, { size: 8 })).toBeLessThan(1e-5);
  });
});

it('a model that takes one image without a batch is given batches', async () => {
  const odd = oddFile('h51_rank3.onnx');
  const { proto, notes } = plainForm(odd, 'odd.onnx');
  expect(notes.join()).toMatch(/one image at a time/);
  const two = images([2, 3, 32, 32]);
  const each = [0, 1].map(
    (index) => images([3, 32, 32]).data.length && two.data.slice(index * 3072, (index + 1) * 3072),
  );
  const right: number[] = [];
  for (const data of each) {
    const one = images([3, 32, 32]);
    (one.data as Float32Array).set(data as Float32Array);
    right.push(...(await run(odd, { image: one })));
  }
  expect(largestDifference(await run(proto, { image: two }), right)).toBeLessThan(1e-6);
  expect(await differenceOfParts(odd, 'F1C1', 32)).toBeLessThan(1e-5);
});

describe('a second input', () => {
  it('is no matter where nothing reads it, or it asks whether the model trains', async () => {
    const sound = soundModel();
    const input = (name: string, elemType: number) =>
      create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType, shape: { dim: [] } } } });
    const unread = changed(sound, (graph) => graph.input.push(input('unread', 1)));
    expect(plainForm(unread, 'odd.onnx').proto.graph?.input.map(({ name }) => name)).toEqual(['image']);
    const asking = changed(sound, (graph) => {
      graph.input.push(input('is_training', 9));
      graph.initializer.push(protoOfTensor('ratio', floatTensor([], [0.5])));
      const head = named(graph, 'fc');
      graph.node.splice(
        graph.node.indexOf(head),
        0,
        node('Dropout', [head.input[0] ?? '', 'ratio', 'is_training'], ['dropped']),
      );
      head.input[0] = 'dropped';
    });
    const image = images([2, 3, 8, 8]);
    expect(
      largestDifference(await run(plainForm(asking, 'odd.onnx').proto, { image }), await run(sound, { image })),
    ).toBeLessThan(1e-6);
  });

  it('is named with its shape where it is a matter', () => {
    const odd = changed(soundModel(), (graph) => {
      const [image] = graph.input;
      if (image) graph.input.push({ ...image, name: 'other' });
      graph.node.unshift(node('Concat', ['image', 'other'], ['both'], [int('axis', 0)]));
      named(graph, 'conv1').input[0] = 'both';
    });
    expect(() => classifierOf(fileOf(odd))).toThrow(/2 inputs \(image \[N, 3, 8, 8\], other \[N, 3, 8, 8\]\)/);
  });
});
