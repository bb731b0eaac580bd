import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { plainForm } from '../../src/plain/plainForm.js';
import {
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  type ModelProto,
  OperatorSetIdProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import {
  changed,
  differenceOfParts,
  images,
  int,
  ints,
  largestDifference,
  node,
  oddFile,
  run,
  soundModel,
} from './oddModels.js';

const image = images([2, 3, 8, 8]);
const opset = (domain: string, version: number) =>
  create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) });
const reference = (name: string, to: string, type: number) =>
  create(AttributeProtoSchema, { name, refAttrName: to, type });

/** The sound model, whose first ReLU is a call, with functions in the domain `own`. */
const calling = (
  call: Parameters<typeof node>,
  functions: Exclude<Parameters<typeof create<typeof FunctionProtoSchema>>[1], FunctionProto | undefined>[],
  version = 17,
): ModelProto =>
  changed(soundModel(version), (graph, model) => {
    const relu = graph.node.find(({ opType }) => opType === 'Relu');
    if (!relu) throw new Error('no ReLU');
    const [op, inputs, , attributes] = call;
    const read = inputs.map((name) => (name === 'x' ? (relu.input[0] ?? '') : name));
    graph.node.splice(graph.node.indexOf(relu), 1, node(op, read, relu.output, attributes, 'own'));
    model.opsetImport.push(opset('own', 1));
    const opsetImport = [opset('', version), opset('own', 1)];
    model.functions = functions.map((each) => create(FunctionProtoSchema, { domain: 'own', opsetImport, ...each }));
    model.irVersion = 9n;
  });

describe("a model's own functions are inlined", () => {
  it('of a file of PyTorch', async () => {
    const odd = oddFile('h28_local_function.onnx');
    const input = images([2, 3, 32, 32]);
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(proto.functions).toEqual([]);
    expect(largestDifference(await run(proto, { input }), await run(odd, { input }))).toBeLessThan(1e-6);
    expect(await differenceOfParts(odd, 'full', 32)).toBeLessThan(1e-5);
  });

  it('with attributes of the call and their defaults, functions in functions, an omitted input, and twice', async () => {
    const odd = calling(
      ['Twice', ['x'], [], [create(AttributeProtoSchema, { name: 'slope', type: 1, f: 0.3 })]],
      [
        {
          name: 'Twice',
          input: ['a'],
          output: ['c'],
          attribute: ['slope'],
          node: [
            node('Once', ['a'], ['b'], [reference('alpha', 'slope', 1)], 'own'),
            node('Once', ['b'], ['c'], [], 'own'),
          ],
        },
        {
          name: 'Once',
          input: ['x', 'upper'],
          output: ['y'],
          attributeProto: [create(AttributeProtoSchema, { name: 'alpha', type: 1, f: 0.7 })],
          node: [
            node('LeakyRelu', ['x'], ['b'], [reference('alpha', 'alpha', 1)]),
            node('Clip', ['b', '', 'upper'], ['y']),
          ],
        },
      ],
    );
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(largestDifference(await run(proto, { image }), await run(odd, { image }))).toBeLessThan(1e-6);
    expect(await differenceOfParts(odd, 'full', 8)).toBeLessThan(1e-5);
  });

  it('of an earlier operator set than the model, with what was an attribute then', async () => {
    const odd = calling(
      ['Centre', ['x'], []],
      [
        {
          name: 'Centre',
          input: ['x'],
          output: ['y'],
          opsetImport: [opset('', 17)],
          node: [
            node('ReduceMean', ['x'], ['m'], [ints('axes', [2, 3]), int('keepdims', 1)]),
            node('Sub', ['x', 'm'], ['y']),
          ],
        },
      ],
      18,
    );
    const right = changed(soundModel(18), (graph) => {
      const relu = graph.node.find(({ opType }) => opType === 'Relu');
      if (!relu) throw new Error('no ReLU');
      graph.node.splice(
        graph.node.indexOf(relu),
        1,
        node('GlobalAveragePool', relu.input, ['m']),
        node('Sub', [relu.input[0] ?? '', 'm'], relu.output),
      );
    });
    const { proto } = plainForm(odd, 'odd.onnx');
    expect(largestDifference(await run(proto, { image }), await run(right, { image }))).toBeLessThan(1e-5);
  });

  it('unless one calls itself', () => {
    const odd = calling(
      ['Again', ['x'], []],
      [{ name: 'Again', input: ['x'], output: ['y'], node: [node('Again', ['x'], ['y'], [], 'own')] }],
    );
    expect(() => plainForm(odd, 'odd.onnx')).toThrow(/a function that calls itself/);
  });
});
