import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { type ModelProto, type TensorProto, TensorProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floats, protoOfTensor, tensor, tensorOfProto } from '../../src/onnx/tensor.js';
import { halfTensor } from '../../src/onnx/float16.js';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  changed,
  differenceOfParts,
  images,
  int,
  largestDifference,
  named,
  node,
  run,
  soundModel,
} from './oddModels.js';

const FLOAT16 = 10;
const DOUBLE = 11;
const BFLOAT16 = 16;
const image = images([2, 3, 8, 8]);

const stored = (proto: TensorProto, type: number): TensorProto => {
  const { dims, data } = tensorOfProto(proto);
  const source = floats({ dtype: 'float32', dims, data });
  if (type === FLOAT16) return protoOfTensor(proto.name, halfTensor({ dtype: 'float32', dims, data }));
  if (type === DOUBLE) return protoOfTensor(proto.name, tensor('float64', dims, Float64Array.from(source)));
  // The first half of each number's bits.
  const bits = new Uint32Array(source.slice().buffer);
  const halves = Uint16Array.from(bits, (each) => each >>> 16);
  return create(TensorProtoSchema, {
    name: proto.name,
    dims: proto.dims,
    dataType: BFLOAT16,
    rawData: new Uint8Array(halves.buffer),
  });
};

/** The sound model with weights, input and output of a type. */
const whole = (type: number): ModelProto =>
  changed(soundModel(), (graph) => {
    graph.initializer = graph.initializer.map((each) => stored(each, type));
    for (const { type: each } of [...graph.input, ...graph.output])
      if (each?.tensorType) each.tensorType.elemType = type;
  });

/** The same that takes and gives float32. */
const within = (type: number): ModelProto =>
  changed(whole(type), (graph) => {
    for (const { type: each } of [...graph.input, ...graph.output]) if (each?.tensorType) each.tensorType.elemType = 1;
    named(graph, 'conv1').input[0] = 'half';
    named(graph, 'fc').output[0] = 'half_logits';
    graph.node.unshift(node('Cast', ['image'], ['half'], [int('to', type)]));
    graph.node.push(node('Cast', ['half_logits'], ['logits'], [int('to', 1)]));
  });

describe('a model in other numbers of floating point', () => {
  it.each([
    ['float16', FLOAT16, 2e-2],
    ['float64', DOUBLE, 1e-5],
  ])('%s: computes in float32, between float32 or not', async (_, type, tolerance) => {
    // ONNX Runtime convolves no float64 itself.
    const right = await run(type === DOUBLE ? soundModel() : within(type), { image });
    for (const odd of [within(type), whole(type)]) {
      const { proto, notes } = plainForm(odd, 'odd.onnx');
      expect(notes.join()).toMatch(/it is trained and exported in float32/);
      expect(largestDifference(await run(proto, { image }), right)).toBeLessThan(tolerance);
      expect(proto.graph?.node.some(({ opType }) => opType === 'Cast')).toBe(false);
      for (const policy of ['F1C0', 'full']) expect(await differenceOfParts(odd, policy, 8)).toBeLessThan(1e-5);
    }
  });

  it('bfloat16: is the float32 model of the first halves of its numbers', async () => {
    const right = changed(soundModel(), (graph) => {
      graph.initializer = graph.initializer.map((each) => {
        const bits = new Uint32Array(floats(tensorOfProto(each)).slice().buffer).map((one) => one & 0xffff0000);
        return protoOfTensor(each.name, tensor('float32', each.dims.map(Number), new Float32Array(bits.buffer)));
      });
    });
    const { proto } = plainForm(whole(BFLOAT16), 'odd.onnx');
    expect(await run(proto, { image })).toEqual(await run(right, { image }));
  });

  it('leaves weights as they are that are only stored in half, and float64 in arithmetic on shapes', () => {
    const storing = changed(soundModel(), (graph) => {
      graph.initializer = graph.initializer.map((each) => (each.name === 'fc.weight' ? stored(each, FLOAT16) : each));
      named(graph, 'fc').input[1] = 'wide';
      graph.node.unshift(node('Cast', ['fc.weight'], ['wide'], [int('to', 1)]));
    });
    expect(plainForm(storing, 'odd.onnx').proto).toBe(storing);
    const shaping = changed(soundModel(), (graph) => {
      graph.initializer.push(protoOfTensor('two', tensor('float64', [], Float64Array.of(2))));
      graph.node.push(
        node('Shape', ['image'], ['sides']),
        node('Cast', ['sides'], ['precise'], [int('to', DOUBLE)]),
        node('Mul', ['precise', 'two'], ['twice']),
      );
    });
    expect(plainForm(shaping, 'odd.onnx').proto).toBe(shaping);
  });
});
