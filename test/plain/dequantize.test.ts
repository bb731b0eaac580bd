import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  type ModelProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { floats, floatTensor, intTensor, protoOfTensor, tensor, tensorOfProto } from '../../src/onnx/tensor.js';
import {
  changed,
  CLASSES,
  differenceOfParts,
  images,
  initializer,
  int,
  largestDifference,
  named,
  node,
  run,
  soundModel,
} from './oddModels.js';

const image = images([2, 3, 8, 8]);
const scalar = (name: string, number: number) => protoOfTensor(name, floatTensor([], [number]));
const zero = (name: string, dtype: 'int8' | 'uint8', ...numbers: number[]) =>
  protoOfTensor(
    name,
    tensor(
      dtype,
      numbers.length === 1 ? [] : [numbers.length],
      dtype === 'int8' ? Int8Array.from(numbers) : Uint8Array.from(numbers),
    ),
  );

/** A weight in whole numbers, with a scale for each of its first axis. */
function inWholeNumbers(weight: TensorProto): [TensorProto, TensorProto] {
  const { dims } = tensorOfProto(weight);
  const values = floats(tensorOfProto(weight));
  const each = values.length / (dims[0] ?? 1);
  const scales = Array.from(
    { length: dims[0] ?? 1 },
    (_, row) => Math.max(...values.slice(row * each, (row + 1) * each).map(Math.abs)) / 127,
  );
  const numbers = Int8Array.from(values, (value, index) => Math.round(value / (scales[Math.floor(index / each)] ?? 1)));
  return [
    protoOfTensor(`${weight.name}_q`, tensor('int8', dims, numbers)),
    protoOfTensor(`${weight.name}_s`, floatTensor([scales.length], scales)),
  ];
}

/** The sound model with weights of convolutions in int8, each behind a DequantizeLinear. */
const weightOnly = (): ModelProto =>
  changed(soundModel(), (graph) => {
    for (const name of ['conv1.weight', 'conv2.weight']) {
      const [numbers, scales] = inWholeNumbers(initializer(graph, name));
      graph.initializer = [...graph.initializer.filter((each) => each.name !== name), numbers, scales];
      graph.node.unshift(node('DequantizeLinear', [numbers.name, scales.name], [name], [int('axis', 0)]));
    }
  });

/** The same with the activations before the second convolution and the head rounded too; a ReLU is what the first rounding cuts off. */
const rounding = (): ModelProto =>
  changed(weightOnly(), (graph) => {
    graph.initializer.push(scalar('s1', 0.03), zero('z1', 'uint8', 0), scalar('s2', 0.02), zero('z2', 'int8', -128));
    const relu = graph.node.find(({ opType }) => opType === 'Relu');
    const second = named(graph, 'conv2');
    if (!relu) throw new Error('no ReLU');
    graph.node.splice(
      graph.node.indexOf(relu),
      1,
      node('QuantizeLinear', [relu.input[0] ?? '', 's1', 'z1'], ['q1']),
      node('DequantizeLinear', ['q1', 's1', 'z1'], ['d1']),
    );
    second.input[0] = 'd1';
    const head = named(graph, 'fc');
    graph.node.splice(
      graph.node.indexOf(head),
      0,
      node('QuantizeLinear', [head.input[0] ?? '', 's2', 'z2'], ['q2']),
      node('DequantizeLinear', ['q2', 's2', 'z2'], ['d2']),
    );
    head.input[0] = 'd2';
  });

describe('a quantized model', () => {
  it('has the weights that its whole numbers stand for', async () => {
    const odd = weightOnly();
    const { proto, warnings } = plainForm(odd, 'odd.onnx');
    expect(warnings.join()).toMatch(/odd.onnx is quantized \(2 nodes/);
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-5);
    expect(await differenceOfParts(odd, 'full', 8)).toBeLessThan(1e-5);
  });

  it('is no longer rounded, and keeps the ReLU that a rounding was', async () => {
    const odd = rounding();
    const { proto } = plainForm(odd, 'odd.onnx');
    const rounded = await run(odd, { image });
    const scale = Math.max(...rounded.map(Math.abs));
    expect(largestDifference(await run(proto, { image }), rounded)).toBeLessThan(0.03 * scale);
    expect(proto.graph?.node.filter(({ opType }) => opType === 'Relu')).toHaveLength(2);
    for (const policy of ['F1C0', 'full']) expect(await differenceOfParts(odd, policy, 8)).toBeLessThan(1e-5);
  });

  it('reads weights that are rounded when the model runs', async () => {
    const odd = changed(soundModel(), (graph) => {
      graph.initializer.push(
        protoOfTensor('s', floatTensor([4], [0.01, 0.011, 0.012, 0.013])),
        zero('z', 'int8', 0, 0, 0, 0),
      );
      graph.node.unshift(
        node('QuantizeLinear', ['conv1.weight', 's', 'z'], ['q'], [int('axis', 0)]),
        node('DequantizeLinear', ['q', 's', 'z'], ['d'], [int('axis', 0)]),
      );
      named(graph, 'conv1').input[1] = 'd';
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-5);
  });

  it('reads weights of four bits in blocks (MatMulNBits)', async () => {
    const [outputs, inputs, block] = [CLASSES, 32, 16];
    const odd = changed(soundModel(), (graph, model) => {
      model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }));
      const head = named(graph, 'fc');
      const bytes = Uint8Array.from({ length: outputs * (inputs / 2) }, (_, at) => (at * 37 + 11) % 256);
      const scales = Float32Array.from({ length: (outputs * inputs) / block }, (_, at) => 0.01 + 0.002 * at);
      graph.initializer.push(
        protoOfTensor('packed', tensor('uint8', [outputs, inputs / block, block / 2], bytes)),
        protoOfTensor('scales', floatTensor([scales.length], scales)),
        protoOfTensor(
          'wide',
          floatTensor(
            [6, inputs],
            Float32Array.from({ length: 6 * inputs }, (_, at) => Math.sin(at)),
          ),
        ),
      );
      graph.node = graph.node.filter((each) => each !== head);
      graph.node.push(
        node('MatMul', [head.input[0] ?? '', 'wide'], ['features']),
        node(
          'MatMulNBits',
          ['features', 'packed', 'scales'],
          ['product'],
          [int('K', inputs), int('N', outputs), int('bits', 4), int('block_size', block)],
          'com.microsoft',
        ),
        node('Add', ['product', 'fc.bias'], ['logits']),
      );
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-4);
    expect(await differenceOfParts(odd, 'F1C0', 8)).toBeLessThan(1e-5);
  });

  it('computes in float what operators compute in whole numbers (QLinearConv)', async () => {
    const odd = changed(soundModel(), (graph) => {
      const second = named(graph, 'conv2');
      const [numbers, scales] = inWholeNumbers(initializer(graph, 'conv2.weight'));
      const bias = floats(tensorOfProto(initializer(graph, 'conv2.bias')));
      const steps = floats(tensorOfProto(scales));
      const whole = Int32Array.from(bias, (value, at) => Math.round(value / (0.03 * (steps[at] ?? 1))));
      graph.initializer.push(
        ...[numbers, scales, scalar('s1', 0.03), zero('z1', 'uint8', 0), scalar('s2', 0.1), zero('z2', 'uint8', 0)],
        ...[zero('zw', 'int8', 0, 0, 0, 0, 0, 0), protoOfTensor('bias_q', tensor('int32', [6], whole))],
      );
      const at = graph.node.indexOf(second);
      graph.node.splice(
        at,
        2,
        node('QuantizeLinear', [second.input[0] ?? '', 's1', 'z1'], ['q1']),
        node('QLinearConv', ['q1', 's1', 'z1', numbers.name, scales.name, 'zw', 's2', 'z2', 'bias_q'], ['q2']),
        node('DequantizeLinear', ['q2', 's2', 'z2'], [graph.node[at + 1]?.output[0] ?? '']),
      );
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    const rounded = await run(odd, { image });
    expect(largestDifference(await run(proto, { image }), rounded)).toBeLessThan(
      0.05 * Math.max(...rounded.map(Math.abs)),
    );
    expect(await differenceOfParts(odd, 'full', 8)).toBeLessThan(1e-5);
  });

  it('computes in float what was quantized as it runs (MatMulInteger)', async () => {
    const odd = changed(soundModel(), (graph) => {
      const head = named(graph, 'fc');
      const weight = Int8Array.from({ length: 6 * CLASSES }, (_, at) => ((at * 53) % 255) - 127);
      graph.initializer.push(
        protoOfTensor('fc_q', tensor('int8', [6, CLASSES], weight)),
        scalar('fc_s', 0.01),
        zero('fc_z', 'int8', 0),
      );
      graph.node = graph.node.filter((each) => each !== head);
      graph.node.push(
        node('DynamicQuantizeLinear', [head.input[0] ?? ''], ['x_q', 'x_s', 'x_z']),
        node('MatMulInteger', ['x_q', 'fc_q', 'x_z', 'fc_z'], ['whole']),
        node('Cast', ['whole'], ['product'], [int('to', 1)]),
        node('Mul', ['x_s', 'fc_s'], ['both']),
        node('Mul', ['product', 'both'], ['scaled']),
        node('Add', ['scaled', 'fc.bias'], ['logits']),
      );
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    const rounded = await run(odd, { image });
    expect(largestDifference(await run(proto, { image }), rounded)).toBeLessThan(
      0.02 * Math.max(...rounded.map(Math.abs)),
    );
    expect(await differenceOfParts(odd, 'F1C0', 8)).toBeLessThan(1e-5);
  });

  it('is refused by the name of a node that nothing undoes', () => {
    const odd = changed(soundModel(), (graph) => {
      graph.initializer.push(protoOfTensor('axes', intTensor([1], [0])));
      graph.node.unshift(node('QLinearWhatever', ['image'], ['quantized']));
    });
    expect(() => plainForm(odd, 'odd.onnx')).toThrow(/QLinearWhatever.*take the float32 model/);
  });

  it('holds whole numbers of four bits two a byte, the lower first', () => {
    const packed = create(TensorProtoSchema, {
      name: 'w',
      dims: [3n],
      dataType: 22,
      rawData: Uint8Array.of(0x2f, 0x08),
    });
    const odd = changed(soundModel(), (graph) => {
      graph.initializer.push(packed, scalar('s', 0.5));
      graph.node.unshift(node('DequantizeLinear', ['w', 's'], ['unpacked']));
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    const unpacked = proto.graph?.initializer.find(({ name }) => name === 'unpacked');
    // 0xf is −1, 2 is 2, 8 is −8.
    expect(unpacked && [...floats(tensorOfProto(unpacked))]).toEqual([-0.5, 1, -4]);
  });
});
