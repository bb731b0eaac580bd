import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { decomposeFused } from '../../src/graph/fused/decomposeFused.js';
import { type Attribute, float, type Graph, int, text, Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { simplify } from '../../src/graph/simplify.js';
import { encodeModel } from '../../src/onnx/model.js';
import { floatTensor, intTensor, tensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';

const random = new Random(4);
const draw = (count: number) => Float32Array.from({ length: count }, () => 2 * random.next() - 1);
const size = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1);
const constant = (g: Builder, ...dims: number[]) => g.constant('c', floatTensor(dims, draw(size(dims))));

async function run(graph: Graph, feeds: Record<string, ort.Tensor>): Promise<{ dims: number[]; data: number[] }[]> {
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(graph, 'test')), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  });
  const results = await session.run(feeds);
  await session.release();
  return graph.outputs.map(({ name }) => {
    const result = results[name];
    return { dims: [...(result?.dims ?? [])], data: Array.from(result?.data ?? [], Number) };
  });
}

const expectClose = (got: readonly number[], expected: readonly number[]) => {
  expect(got).toHaveLength(expected.length);
  expected.forEach((value, index) => {
    expect(Math.abs((got[index] ?? NaN) - value)).toBeLessThan(2e-6 * Math.max(1, Math.abs(value)));
  });
};

type Build = (g: Builder, x: Value) => Value;
/** The image [1, 2, 4, 4] as tokens [1, 16, 2], and as rows without the image's axis. */
const tokens = (g: Builder, x: Value) => g.transpose(g.reshape(x, [1, 2, 16]), [0, 2, 1]);
const windows = (g: Builder, x: Value) =>
  g.reshape(g.transpose(g.reshape(x, [2, 2, 2, 2, 2]), [1, 3, 0, 2, 4]), [4, 2, 4]);

/** What exporters write of a model for one image. */
const OF_ONE_IMAGE: readonly [string, Build][] = [
  ['a class token', (g, x) => g.concat([constant(g, 1, 1, 2), tokens(g, x)], 1)],
  ['positions', (g, x) => g.add(tokens(g, x), constant(g, 1, 16, 2))],
  ['Reshape [1, -1]', (g, x) => g.matmul(g.reshape(x, [1, -1]), constant(g, 32, 3))],
  ['Reshape to windows and back', (g, x) => g.reshape(windows(g, x), [1, 4, 8])],
  ['a mask of windows', (g, x) => g.reshape(g.add(windows(g, x), constant(g, 4, 2, 4)), [1, 32])],
  ['matrices of windows', (g, x) => g.reshape(g.matmul(windows(g, x), constant(g, 4, 4, 3)), [1, 24])],
  ['products of windows', (g, x) => g.matmul(windows(g, x), g.transpose(windows(g, x), [0, 2, 1]))],
  ['tokens before images', (g, x) => g.softmax(g.transpose(tokens(g, x), [1, 0, 2]), 0)],
  [
    'the mean of all tokens, which come first',
    (g, x) => g.reduceMean(g.transpose(tokens(g, x), [1, 0, 2]), [0], false),
  ],
  ['the mean of all, kept', (g, x) => g.sub(x, g.reduceMean(x))],
  ['the mean of all, a number', (g, x) => g.sub(x, g.reduceMean(x, undefined, false))],
  ['the mean over axes and images', (g, x) => g.mul(x, g.reduceMean(x, [0, 2, 3]))],
  ['Squeeze and Unsqueeze', (g, x) => g.unsqueeze(g.relu(g.squeeze(x, [0])), [0])],
  ['Gather of the image', (g, x) => g.gather(x, g.constant('i', intTensor([], [0])), 0)],
  ['Gather of a row', (g, x) => g.gather(g.reshape(x, [32]), g.constant('i', intTensor([2, 2], [3, -1, 0, 3])), 0)],
  ['Slice of the first axis', (g, x) => g.slice(g.reshape(x, [8, 4]), [1], [6], [0], [2])],
  ['Slice of all of it', (g, x) => g.slice(x, [0, 1], [9, 3], [0, 2])],
  [
    'Split of the first axis',
    (g, x) => g.concat(g.ops('Split', [g.reshape(x, [8, 4]), g.vector([3, 5])], 2).toReversed(), 0),
  ],
  ['Concat along it', (g, x) => g.concat([g.reshape(x, [8, 4]), constant(g, 2, 4)], 0)],
  ['constant windows', (g, x) => g.concat([windows(g, x), constant(g, 4, 2, 1)], 2)],
  ['Tile along it', (g, x) => g.op('Tile', [g.reshape(x, [8, 4]), g.vector([3, 1])])],
  ['Expand to more axes', (g, x) => g.expand(g.reshape(x, [8, 4]), [2, 8, 4])],
  ['Expand of the image', (g, x) => g.expand(g.reshape(x, [1, 32]), [3, 32])],
  ['Pad along it', (g, x) => g.pad(g.reshape(x, [8, 4]), [1, 0, 2, 0])],
  [
    'Resize to [1, …]',
    (g, x) => g.op('Resize', [x, undefined, undefined, g.vector([1, 2, 6, 6])], { mode: text('linear') }),
  ],
  [
    'Gemm, turned round',
    (g, x) =>
      g.gemm(g.reshape(x, [8, 4]), constant(g, 8, 3), { transA: true, alpha: 0.5, c: constant(g, 4, 3), beta: 2 }),
  ],
  ['Gemm of two', (g, x) => g.gemm(g.reshape(x, [8, 4]), g.reshape(g.relu(x), [8, 4]), { transB: true })],
  ['MatMul of rows', (g, x) => g.matmul(g.reshape(x, [8, 4]), g.reshape(g.relu(x), [4, 8]))],
  ['MatMul of a vector', (g, x) => g.matmul(g.reshape(x, [32]), constant(g, 32, 3))],
  ['a constant on the left', (g, x) => g.matmul(constant(g, 5, 8), g.reshape(x, [8, 4]))],
  ['values of fewer axes', (g, x) => g.add(x, g.reduceMean(g.squeeze(x, [0]), [0], false))],
  ['Flatten of all', (g, x) => g.op('Flatten', [x], { axis: int(0) })],
  [
    'a normalization of all',
    (g, x) => g.op('LayerNormalization', [g.reshape(x, [8, 4]), constant(g, 8, 4)], { axis: int(0) }),
  ],
  [
    'Where of windows',
    (g, x) =>
      g.where(g.constant('m', tensor('bool', [4, 1, 1], Uint8Array.of(1, 0, 0, 1))), windows(g, x), g.scalar(2)),
  ],
];

describe('a graph of one image computes each of several alike:', () => {
  it.each(OF_ONE_IMAGE)('%s', async (_, build) => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [1, 2, 4, 4]);
    g.output('y', build(g, x));
    const images = [0, 1, 2].map(() => draw(32));
    const expected: number[] = [];
    for (const image of images)
      expected.push(...((await run(g.graph, { x: new ort.Tensor('float32', image, [1, 2, 4, 4]) }))[0]?.data ?? []));
    x.shape = [{ batch: 1 }, 2, 4, 4];
    simplify(g.graph, { batch: 1 });
    const all = new ort.Tensor('float32', Float32Array.from(images.flatMap((image) => [...image])), [3, 2, 4, 4]);
    const [got] = await run(g.graph, { x: all });
    expectClose(got?.data ?? [], expected);
    const [first] = g.graph.outputs[0]?.shape ?? [];
    expect(typeof first).toBe('object');
  });

  it('a batch of 8, whose shapes and constants say so', async () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [8, 2, 4, 4]);
    const token = floatTensor(
      [8, 1, 2],
      [...Array(8).keys()].flatMap(() => [0.5, -2]),
    );
    const y = g.concat([g.constant('token', token), g.transpose(g.reshape(x, [8, 2, 16]), [0, 2, 1])], 1);
    g.output('y', g.matmul(g.reshape(y, [8, -1]), constant(g, 34, 3)));
    const images = draw(256);
    const [expected] = await run(g.graph, { x: new ort.Tensor('float32', images, [8, 2, 4, 4]) });
    x.shape = [{ batch: 1 }, 2, 4, 4];
    simplify(g.graph, { batch: 8 });
    const [got] = await run(g.graph, { x: new ort.Tensor('float32', images.subarray(0, 96), [3, 2, 4, 4]) });
    expectClose(got?.data ?? [], expected?.data.slice(0, 9) ?? []);
  });

  it('and is refused by the node where a constant differs from image to image', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 2, 4, 4]);
    g.output('y', g.add(x, constant(g, 2, 2, 4, 4)));
    x.shape = [{ batch: 1 }, 2, 4, 4];
    expect(() => simplify(g.graph, { batch: 2 })).toThrow(
      /exported for a batch of 2, and "c", which node "Add_node" \(Add\) reads, differs from image to image/,
    );
  });

  it('and is refused by the node where an operator is unknown that works on more than images', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [1, 2, 4, 4]);
    const odd = g.op('Odd', [g.reshape(x, [8, 4])], {}, { domain: 'my.ops', name: 'odd' });
    g.output('y', odd);
    x.shape = [{ batch: 1 }, 2, 4, 4];
    expect(() => simplify(g.graph, { batch: 1 })).toThrow(
      /exported for a batch of 1, and node "odd" \(Odd\) cannot work on several images; export it with a dynamic batch/,
    );
  });
});

type Shapes = Record<string, readonly number[]>;
const MS = 'com.microsoft';
const mask = (g: Builder, ...dims: number[]) =>
  g.constant(
    'mask',
    tensor(
      'bool',
      dims,
      Uint8Array.from({ length: size(dims) }, (_, at) => (at % 3 === 0 ? 0 : 1)),
    ),
  );

/** Operators that ONNX Runtime computes as one: domain, operator, shapes, what else they read, attributes. */
const FUSED: readonly [
  string,
  string,
  string,
  Shapes,
  (g: Builder) => (Value | undefined)[],
  Record<string, Attribute>,
][] = [
  ['four axes', '', 'Attention', { q: [2, 2, 5, 4], k: [2, 2, 6, 4], v: [2, 2, 6, 3] }, () => [], {}],
  [
    'three axes and a scale',
    '',
    'Attention',
    { q: [2, 5, 8], k: [2, 6, 8], v: [2, 6, 8] },
    () => [],
    { q_num_heads: int(2), kv_num_heads: int(2), scale: float(0.3) },
  ],
  [
    'a mask of truths',
    '',
    'Attention',
    { q: [2, 2, 5, 4], k: [2, 2, 6, 4], v: [2, 2, 6, 4] },
    (g) => [mask(g, 5, 6)],
    {},
  ],
  [
    'a mask of numbers',
    '',
    'Attention',
    { q: [2, 2, 5, 4], k: [2, 2, 6, 4], v: [2, 2, 6, 4] },
    (g) => [constant(g, 1, 2, 5, 6)],
    {},
  ],
  ['heads that share keys', '', 'Attention', { q: [2, 4, 5, 4], k: [2, 2, 6, 4], v: [2, 2, 6, 4] }, () => [], {}],
  [
    'scores that are capped',
    '',
    'Attention',
    { q: [2, 2, 5, 4], k: [2, 2, 6, 4], v: [2, 2, 6, 4] },
    () => [],
    { softcap: float(0.7) },
  ],
  [
    'what comes before alone',
    '',
    'Attention',
    { q: [2, 2, 6, 4], k: [2, 2, 6, 4], v: [2, 2, 6, 4] },
    () => [],
    { is_causal: int(1) },
  ],
  [
    'three values',
    MS,
    'MultiHeadAttention',
    { q: [2, 5, 8], k: [2, 6, 8], v: [2, 6, 8] },
    () => [],
    { num_heads: int(2) },
  ],
  [
    'a bias and scores',
    MS,
    'MultiHeadAttention',
    { q: [2, 5, 8], k: [2, 5, 8], v: [2, 5, 8] },
    (g) => [constant(g, 24), undefined, constant(g, 1, 2, 5, 5)],
    { num_heads: int(2), scale: float(0.2) },
  ],
  [
    'one matrix',
    MS,
    'Attention',
    { x: [2, 5, 8] },
    (g) => [constant(g, 8, 24), constant(g, 24)],
    { num_heads: int(2) },
  ],
  [
    'a sum',
    MS,
    'SkipLayerNormalization',
    { x: [2, 5, 8], skip: [2, 5, 8] },
    (g) => [constant(g, 8), constant(g, 8), constant(g, 8)],
    { epsilon: float(0.01) },
  ],
  [
    'a sum, by its root',
    MS,
    'SkipSimplifiedLayerNormalization',
    { x: [2, 5, 8], skip: [2, 5, 8] },
    (g) => [constant(g, 8)],
    { epsilon: float(0.01) },
  ],
  ['a bias', MS, 'BiasGelu', { x: [2, 5, 8] }, (g) => [constant(g, 8)], {}],
  [
    'turned matrices',
    MS,
    'FusedMatMul',
    { a: [2, 4, 5], b: [2, 3, 4] },
    () => [],
    { transA: int(1), transB: int(1), alpha: float(0.5) },
  ],
  [
    'rows by two indices',
    '',
    'GatherND',
    { x: [3, 4, 2] },
    (g) => [g.constant('i', intTensor([5, 2], [0, 1, 2, 3, -1, -1, 0, 0, 1, 2]))],
    {},
  ],
];

describe('a fused operator gives the same where it is taken apart:', () => {
  it.each(FUSED)('%s, %s %s', async (_, domain, op, shapes, more, attributes) => {
    const g = new Builder(23);
    const values = Object.entries(shapes).map(([name, shape]) => g.input(name, 'float32', shape));
    g.output('y', g.op(op, [...values, ...more(g)], attributes, { domain, name: 'fused' }));
    const feeds = Object.fromEntries(
      values.map(({ name }) => {
        const dims = shapes[name] ?? [];
        return [name, new ort.Tensor('float32', draw(size(dims)), dims)];
      }),
    );
    const expected = await run(g.graph, feeds);
    decomposeFused(g.graph, 2);
    expect(g.graph.nodes.map((node) => `${node.domain}:${node.op}`)).not.toContain(`${domain}:${op}`);
    const got = await run(g.graph, feeds);
    expect(got[0]?.dims).toEqual(expected[0]?.dims);
    expectClose(got[0]?.data ?? [], expected[0]?.data ?? []);
  });
});
