import { create } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { AttributeProtoSchema } from '../../src/onnx/onnx_pb.js';
import { Value } from '../../src/graph/graph.js';
import { protoOfValue } from '../../src/graph/proto.js';
import { floatTensor, intTensor, protoOfTensor, tensorOfProto } from '../../src/onnx/tensor.js';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  changed,
  differenceOfParts,
  images,
  initializer,
  largestDifference,
  node,
  run,
  soundModel,
} from './oddModels.js';

const image = images([2, 3, 8, 8]);

it('makes tensors of weights that are filled with one number, and trains them', async () => {
  const odd = changed(soundModel(), (graph) => {
    for (const name of ['conv2.weight', 'fc.weight', 'bn.variance']) {
      const weight = initializer(graph, name);
      const shape = `${name}/shape`;
      const dims = weight.dims.map(Number);
      graph.initializer = graph.initializer.filter((each) => each !== weight);
      graph.initializer.push(protoOfTensor(shape, intTensor([dims.length], dims)));
      const value = create(AttributeProtoSchema, {
        name: 'value',
        type: 4,
        t: protoOfTensor('', floatTensor([1], [0.25])),
      });
      graph.node.unshift(node('ConstantOfShape', [shape], [name], [value]));
    }
  });
  const { proto, notes } = plainForm(odd, 'odd.onnx');
  expect(notes.join()).toContain('3 weights are filled with one number');
  expect(proto.graph?.node.map(({ opType }) => opType)).not.toContain('ConstantOfShape');
  expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-6);
  for (const policy of ['F1C0', 'F1C1', 'full']) expect(await differenceOfParts(odd, policy, 8)).toBeLessThan(1e-5);
});

it('writes a file of format 3, in which every constant is an input, as one of format 4', async () => {
  const odd = changed(soundModel(9), (graph, model) => {
    model.irVersion = 3n;
    const weight = initializer(graph, 'fc.weight');
    graph.initializer = graph.initializer.filter((each) => each !== weight);
    graph.initializer.push(protoOfTensor('shape', intTensor([2], weight.dims.map(Number))));
    graph.node.unshift(node('ConstantOfShape', ['shape'], ['fc.weight']));
    for (const each of graph.initializer) {
      const { dtype, dims } = tensorOfProto(each);
      graph.input.push(protoOfValue(new Value(each.name, dtype, dims), each.name));
    }
  });
  expect(plainForm(odd, 'odd.onnx').proto.irVersion).toBe(4n);
  expect(await differenceOfParts(odd, 'F1C0', 8)).toBeLessThan(1e-5);
});

it('leaves what is filled and no weight', () => {
  const odd = changed(soundModel(), (graph) => {
    graph.initializer.push(protoOfTensor('shape', intTensor([1], [1])));
    const [conv] = graph.node;
    if (!conv) throw new Error('no node');
    graph.node.unshift(node('ConstantOfShape', ['shape'], ['zeros']), node('Add', ['image', 'zeros'], ['same']));
    conv.input[0] = 'same';
  });
  expect(plainForm(odd, 'odd.onnx').proto).toBe(odd);
});
