import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor, tensor } from '../../src/onnx/tensor.js';
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

const image = images([2, 3, 8, 8]);

function branch(name: string, nodes: NodeProto[], output: string) {
  const g = create(GraphProtoSchema, {
    name,
    node: nodes,
    output: [create(ValueInfoProtoSchema, { name: output, type: { tensorType: { elemType: 1 } } })],
  });
  return create(AttributeProtoSchema, { name, type: 5, g });
}

/** TorchScript's squeeze(2) of the pooled map, which flattens it if there is one row, and else leaves it. */
const squeezing = (condition: NodeProto[]): ModelProto =>
  changed(soundModel(), (graph) => {
    const flatten = graph.node.find(({ opType }) => opType === 'Flatten');
    if (!flatten) throw new Error('no Flatten');
    const [pooled = ''] = flatten.input;
    graph.initializer.push(
      protoOfTensor('one', intTensor([], [1])),
      protoOfTensor('two', intTensor([], [2])),
      protoOfTensor('axes', intTensor([2], [2, 3])),
      protoOfTensor('yes', tensor('bool', [], Uint8Array.of(1))),
    );
    graph.node.splice(
      graph.node.indexOf(flatten),
      1,
      ...condition.map((each) => ({ ...each, input: each.input.map((name) => (name === 'pooled' ? pooled : name)) })),
      node('If', ['condition'], flatten.output, [
        branch('then_branch', [node('Squeeze', [pooled, 'axes'], ['squeezed'])], 'squeezed'),
        branch('else_branch', [node('Identity', [pooled], ['same'])], 'same'),
      ]),
    );
  });

describe('an If', () => {
  it.each([
    [
      'the shapes',
      [
        node('Shape', ['pooled'], ['sides']),
        node('Gather', ['sides', 'two'], ['rows'], [int('axis', 0)]),
        node('Equal', ['rows', 'one'], ['condition']),
      ],
    ],
    ['a constant', [node('Identity', ['yes'], ['condition'])]],
  ])('whose condition follows from %s is the branch that it takes', async (_, condition) => {
    const odd = squeezing(condition);
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(proto.graph?.node.map(({ opType }) => opType)).not.toContain('If');
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBe(0);
    for (const policy of ['F1C0', 'full']) expect(await differenceOfParts(odd, policy, 8)).toBeLessThan(1e-5);
  });

  it('whose condition depends on the image keeps what its branches read from outside', async () => {
    const odd = oddFile('h03b_if_stem_capture.onnx');
    const input = images([1, 3, 32, 32]);
    expect(await run(plainForm(odd, 'odd.onnx').proto, { input })).toEqual(await run(odd, { input }));
    // Below the cut it is frozen; trained it is not, and the message names it.
    expect(
      compile(fileOf(odd), { policy: 'F1C0', classes: ['a', 'b'], batch: 1 }).frozen?.graph?.initializer.map(
        ({ name }) => name,
      ),
    ).toContain('k');
    expect(() => compile(fileOf(odd), { policy: 'full', classes: ['a', 'b'], batch: 1 })).toThrow(/"If_6" \(If\)/);
  });

  it('is written in the operator set that ort-tl works in, its branches too', async () => {
    const odd = changed(soundModel(12), (graph) => {
      const relu = graph.node.find(({ opType }) => opType === 'Relu');
      if (!relu) throw new Error('no ReLU');
      graph.initializer.push(protoOfTensor('limit', floatTensor([], [1000])));
      graph.node.splice(
        graph.node.indexOf(relu),
        1,
        node('ReduceMax', [relu.input[0] ?? ''], ['most'], [int('keepdims', 0)]),
        node('Greater', ['most', 'limit'], ['condition']),
        node('If', ['condition'], relu.output, [
          branch('then_branch', [node('Neg', [relu.input[0] ?? ''], ['negative'])], 'negative'),
          branch(
            'else_branch',
            [
              node('ReduceMean', [relu.input[0] ?? ''], ['mean'], [ints('axes', [2])]),
              node('Sub', [relu.input[0] ?? '', 'mean'], ['centred']),
            ],
            'centred',
          ),
        ]),
      );
    });
    expect(named(odd.graph ?? create(GraphProtoSchema), 'fc').opType).toBe('Gemm');
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-6);
    expect(await differenceOfParts(odd, 'F1C0', 8)).toBeLessThan(1e-5);
  });
});
