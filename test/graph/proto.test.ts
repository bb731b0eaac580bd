import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { Builder } from '../../src/graph/builder.js';
import { type Attribute, showShape, type Value } from '../../src/graph/graph.js';
import { graphOfModel, modelOfGraph } from '../../src/graph/proto.js';
import {
  AttributeProtoSchema,
  type ModelProto,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor } from '../../src/onnx/tensor.js';

const N = { batch: 1 };
/** A number of a dimension, a name of an open one, or nothing. */
type FileDim = number | string | undefined;

const shapeProto = (dims: readonly FileDim[]) => ({
  dim: dims.map((dim) =>
    dim === undefined
      ? {}
      : typeof dim === 'number'
        ? { value: { case: 'dimValue' as const, value: BigInt(dim) } }
        : { value: { case: 'dimParam' as const, value: dim } },
  ),
});
const info = (name: string, dims: readonly FileDim[] | undefined, elemType = 1) =>
  create(ValueInfoProtoSchema, {
    name,
    type: { tensorType: { elemType, ...(dims ? { shape: shapeProto(dims) } : {}) } },
  });

/** A model of one operator that nobody knows, whose input the file says to be `dims`. */
function modelWith(dims: readonly FileDim[], output?: readonly FileDim[]): ModelProto {
  const g = new Builder(18);
  g.output('y', g.op('NobodyKnows', [g.input('x', 'float32', [N, 1])]));
  const proto = modelOfGraph(g.graph, 'net');
  if (!proto.graph) throw new Error('no graph');
  proto.graph.input = [info('x', dims)];
  proto.graph.output = [info('y', output)];
  return proto;
}

describe('the input of a model file', () => {
  it.each<[readonly FileDim[], [number, number] | undefined, string]>([
    [[1, 3, 8, 9], undefined, '[N, 3, 8, 9]'],
    [['batch', 3, 8, 9], undefined, '[N, 3, 8, 9]'],
    [[undefined, 3, 8, 9], [5, 6], '[N, 3, 8, 9]'],
    [['batch', 3, 'height', undefined], [5, 6], '[N, 3, 5, 6]'],
    [['batch', 3, -1, 0], [5, 6], '[N, 3, 5, 6]'],
    [['batch', 7], undefined, '[N, 7]'],
  ])('of %j, with images of %j, has the shape %s', (dims, imageSize, expected) => {
    expect(showShape(graphOfModel(modelWith(dims), imageSize).inputs[0]?.shape)).toBe(expected);
  });

  it.each<[readonly FileDim[], [number, number] | undefined, number]>([
    [['batch', 3, 'height', 'width'], undefined, 2],
    [['batch', 'channels', 8, 8], [8, 8], 1],
    [['batch', 3, 'length'], [8, 8], 2],
  ])('of %j, with images of %j, is refused for its dimension %d', (dims, imageSize, axis) => {
    expect(() => graphOfModel(modelWith(dims), imageSize)).toThrow(`input "x" leaves its dimension ${axis} open`);
  });

  it('is a tensor of a type that ort-tl has', () => {
    const proto = modelWith([1, 2]);
    if (proto.graph) proto.graph.input = [info('x', [1, 2], 8)];
    expect(() => graphOfModel(proto)).toThrow(/input "x" has element type string/);
    if (proto.graph) proto.graph.input = [create(ValueInfoProtoSchema, { name: 'x' })];
    expect(() => graphOfModel(proto)).toThrow(/input "x" of the model is no tensor/);
  });

  it('is none where a constant has its name', () => {
    const proto = modelWith([1, 2]);
    proto.graph?.input.push(info('w', [3]));
    proto.graph?.initializer.push(protoOfTensor('w', floatTensor([3], [1, 2, 3])));
    expect(graphOfModel(proto).inputs.map(({ name }) => name)).toEqual(['x']);
  });
});

describe('the shape of what an operator gives that nobody knows', () => {
  it.each<[readonly FileDim[], readonly FileDim[] | undefined, string]>([
    [[1, 3], [1, 8], '[N, 8]'],
    [[4, 3], [8, 2], '[2N, 2]'],
    [[4, 3], [6, 2], '[6, 2]'],
    [['batch', 3], ['batch', 8], '[N, 8]'],
    [['batch', 3], [undefined, 8], '[N, 8]'],
    [['batch', 3], [5, 8], '[5, 8]'],
    [['batch', 3], ['batch', 'open'], '[?]'],
    [['batch', 3], undefined, '[?]'],
  ])('with an input of %j is what the file says, %j: %s', (dims, output, expected) => {
    const [y] = graphOfModel(modelWith(dims, output)).outputs;
    expect(showShape(y?.shape)).toBe(expected);
    expect(y?.dtype).toBe(expected === '[?]' ? undefined : 'float32');
  });

  it('is not believed of what ort-tl follows by itself', () => {
    const g = new Builder(18);
    g.output('y', g.relu(g.input('x', 'float32', [N, 3])));
    const proto = modelOfGraph(g.graph, 'net');
    if (proto.graph) proto.graph.output = [info('y', [1, 99])];
    expect(graphOfModel(proto).outputs[0]?.shape).toBeUndefined();
  });
});

describe('a Constant', () => {
  const text = new TextEncoder().encode('x');
  const constantOf = (attribute: Parameters<typeof create<typeof AttributeProtoSchema>>[1], domain = '') => {
    const proto = modelWith([1, 2]);
    const node = create(NodeProtoSchema, { opType: 'Constant', domain, output: ['c'] });
    if (attribute) node.attribute.push(create(AttributeProtoSchema, attribute));
    const reader = create(NodeProtoSchema, { opType: 'Reads', input: ['c'], output: ['z'] });
    proto.graph?.node.push(node, reader);
    return graphOfModel(proto).nodes.find(({ op }) => op === 'Reads')?.inputs[0];
  };

  it.each<[string, Parameters<typeof constantOf>[0], unknown]>([
    ['a tensor', { name: 'value', type: 4, t: protoOfTensor('', floatTensor([2], [1, 2])) }, floatTensor([2], [1, 2])],
    ['a number', { name: 'value_float', type: 1, f: 0.5 }, floatTensor([], [0.5])],
    ['numbers', { name: 'value_floats', type: 6, floats: [1, 2] }, floatTensor([2], [1, 2])],
    ['a whole number', { name: 'value_int', type: 2, i: 3n }, intTensor([], [3])],
    ['whole numbers', { name: 'value_ints', type: 7, ints: [3n, 4n] }, intTensor([2], [3, 4])],
  ])('holds %s', (_, attribute, expected) => {
    for (const domain of ['', 'ai.onnx']) {
      const value = constantOf(attribute, domain);
      expect(value?.constant).toEqual(expected);
      expect(value).toMatchObject({ dtype: value?.constant?.dtype, shape: value?.constant?.dims });
    }
  });

  it('of another domain is an operator like any other', () => {
    expect(constantOf({ name: 'value_int', type: 2, i: 3n }, 'my.ops')?.producer?.op).toBe('Constant');
  });

  it.each<[string, Parameters<typeof constantOf>[0], RegExp]>([
    ['text', { name: 'value_string', type: 3, s: text }, /node "c" \(Constant\) holds its value as `value_string`/],
    ['nothing', undefined, /holds no value/],
  ])('of %s is refused', (_, attribute, message) => {
    expect(() => constantOf(attribute)).toThrow(UserError);
    expect(() => constantOf(attribute)).toThrow(message);
  });
});

describe('a damaged file', () => {
  it('is refused where two nodes write a value, or none does', () => {
    const twice = modelWith([1, 2]);
    twice.graph?.node.push(create(NodeProtoSchema, { opType: 'Relu', input: ['x'], output: ['x'] }));
    expect(() => graphOfModel(twice)).toThrow(/two nodes of the model write "x"/);
    const constant = modelWith([1, 2]);
    const value = create(AttributeProtoSchema, { name: 'value_int', type: 2, i: 3n });
    constant.graph?.node.push(create(NodeProtoSchema, { opType: 'Constant', output: ['y'], attribute: [value] }));
    expect(() => graphOfModel(constant)).toThrow(/two nodes of the model write "y"/);
    const without = modelWith([1, 2]);
    without.graph?.output.push(info('z', [1]));
    expect(() => graphOfModel(without)).toThrow(/output "z" of the model is written by no node/);
  });
});

describe('a model that is written', () => {
  it.each([
    [9, 8n],
    [18, 8n],
    [19, 9n],
    [20, 9n],
    [21, 10n],
    [22, 10n],
    [23, 11n],
    [24, 12n],
  ])('in operator set %d has the format version %d (onnx/docs/Versioning.md)', (opset, version) => {
    const g = new Builder(opset);
    g.output('y', g.relu(g.input('x', 'float32', [N])));
    expect(modelOfGraph(g.graph, 'net').irVersion).toBe(version);
  });

  it('names every domain once, the standard one in its set and others in their first', () => {
    const g = new Builder(19);
    const x = g.input('x', 'float32', [N]);
    const y = g.op('A', [x], {}, { domain: 'my.ops' });
    g.output('y', g.op('B', [y], {}, { domain: 'my.ops' }));
    expect(modelOfGraph(g.graph, 'net').opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 19n],
      ['my.ops', 1n],
    ]);
  });

  it('names dimensions of the batch', () => {
    const g = new Builder(18);
    g.output('y', g.relu(g.input('x', 'float32', [N, { batch: 2 }, 3])));
    const dims = modelOfGraph(g.graph, 'net').graph?.input[0]?.type?.tensorType?.shape?.dim;
    expect(dims?.map(({ value }) => value.value)).toEqual(['N', '2N', 3n]);
  });

  it('gives way to the names of inputs and outputs, and holds constants that are outputs', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [N]);
    const y: Value = g.exp(g.relu(x));
    const [hidden] = g.graph.nodes[0]?.outputs ?? [];
    if (hidden) hidden.name = 'x';
    g.output('y', y);
    g.graph.outputs.push(g.constant('c', floatTensor([1], [1])));
    const graph = modelOfGraph(g.graph, 'net').graph;
    expect(graph?.node.map(({ input, output }) => [...input, ...output])).toEqual([
      ['x', 'x_1'],
      ['x_1', 'y'],
    ]);
    expect(graph?.initializer.map(({ name }) => name)).toEqual(['c']);
  });

  it('reads back every attribute as it was', () => {
    const attributes: Record<string, Attribute> = {
      a: { kind: 'int', value: -3 },
      b: { kind: 'float', value: 0.5 },
      c: { kind: 'string', value: 'ä' },
      d: { kind: 'ints', value: [1, 2] },
      e: { kind: 'floats', value: [1, 0.5] },
      f: { kind: 'strings', value: ['x', 'y'] },
      g: { kind: 'tensor', value: intTensor([2], [1, 2]) },
    };
    const g = new Builder(18);
    g.output('y', g.op('NobodyKnows', [g.input('x', 'float32', [N]), undefined], attributes, { domain: 'my.ops' }));
    const [node] = graphOfModel(modelOfGraph(g.graph, 'net')).nodes;
    expect(Object.fromEntries(node?.attributes ?? [])).toEqual(attributes);
    expect(node).toMatchObject({ domain: 'my.ops', op: 'NobodyKnows' });
    expect(node?.inputs[1]).toBeUndefined();
  });
});
