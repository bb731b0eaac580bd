import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { Builder } from '../../src/graph/builder.js';
import { type Graph, type Node, Value } from '../../src/graph/graph.js';
import { lower } from '../../src/graph/lower.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { recompute } from '../../src/graph/recompute.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';

const N = { batch: 1 };
/** Numbers for what has this name: from −1 to 1, and positive ones for a variance. */
const numbersFor = (name: string, dims: readonly number[]) => {
  const from = name === 'variance' ? 1.5 : 0;
  return Float32Array.from({ length: elementCount(dims) }, (_, index) => from + Math.sin(name.length + 1.7 * index));
};

/** Everything that a graph gives for inputs of these shapes. */
async function run(
  graph: Graph,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(graph, 'test')), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  });
  const feeds: Record<string, ort.Tensor> = {};
  for (const [name, dims] of Object.entries(shapes))
    feeds[name] = new ort.Tensor('float32', numbersFor(name, dims), dims);
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, [...(data as Float32Array)]]));
}

function expectClose(got: readonly number[] = [], wanted: readonly number[] = []): void {
  expect(got).toHaveLength(wanted.length);
  got.forEach((value, index) => expect(value).toBeCloseTo(wanted[index] ?? NaN, 4));
}

type Build = (g: Builder, x: Value, constant: (name: string, ...dims: number[]) => Value) => Value;

/** A network of x [2, 3, 4, 4] as it is, and lowered; the values called `trained` are inputs of the lowered one. */
async function lowered(build: Build, trained: readonly string[] = []) {
  const source = new Builder(18);
  const x = source.input('x', 'float32', [N, 3, 4, 4]);
  const constants = new Map<string, Value>();
  const y = build(source, x, (name, ...dims) => {
    const value = source.constant(name, floatTensor(dims, numbersFor(name, dims)));
    constants.set(name, value);
    return value;
  });
  const g = new Builder(18);
  const given = new Map([[x, g.input('x', 'float32', [N, 3, 4, 4])]]);
  const shapes: Record<string, readonly number[]> = { x: [2, 3, 4, 4] };
  for (const name of trained) {
    const value = constants.get(name);
    const dims = value?.constant?.dims ?? [];
    if (value) given.set(value, g.input(name, 'float32', dims));
    shapes[name] = dims;
  }
  g.output('y', lower(g, source.graph.nodes, given)(y));
  source.output('y', y);
  const [before, after] = [await run(source.graph, { x: [2, 3, 4, 4] }), await run(g.graph, shapes)];
  expectClose(after['y'], before['y']);
  return g.graph.nodes.map(({ op }) => op);
}

const normalized =
  (options: { bias?: boolean; again?: boolean } = {}): Build =>
  (g, x, c) => {
    const map = g.op('Conv', [x, c('weight', 5, 3, 2, 2), ...(options.bias ? [c('bias', 5)] : [])]);
    const y = g.op('BatchNormalization', [map, c('scale', 5), c('shift', 5), c('mean', 5), c('variance', 5)]);
    return options.again ? g.add(y, map) : y;
  };

describe('a BatchNormalization behind a convolution', () => {
  it.each([
    ['', {}],
    [' with a bias', { bias: true }],
  ])('becomes a part of its weights where nothing of them trains%s', async (_, options) => {
    expect(await lowered(normalized(options))).toEqual(['Conv']);
  });

  it('is worked out on the weights where these train', async () => {
    for (const trained of [['weight'], ['scale'], ['shift'], ['weight', 'bias', 'scale', 'shift']]) {
      const ops = await lowered(normalized({ bias: true }), trained);
      expect(ops.filter((op) => op === 'Conv')).toHaveLength(1);
      expect(ops).not.toContain('BatchNormalization');
    }
  });

  it('stays where its statistics are given, others read the map, or it normalizes another', async () => {
    expect(await lowered(normalized(), ['mean'])).toEqual(['Conv', 'BatchNormalization']);
    expect(await lowered(normalized(), ['variance'])).toEqual(['Conv', 'BatchNormalization']);
    expect(await lowered(normalized({ again: true }))).toEqual(['Conv', 'BatchNormalization', 'Add']);
    const alone: Build = (g, x, c) =>
      g.op('BatchNormalization', [
        g.relu(g.conv(x, c('weight', 3, 3, 1, 1))),
        ...['scale', 'shift', 'mean', 'variance'].map((name) => c(name, 3)),
      ]);
    expect(await lowered(alone)).toEqual(['Conv', 'Relu', 'BatchNormalization']);
  });
});

describe('x times its sigmoid', () => {
  it.each<[string, Build]>([
    ['', (g, x) => g.mul(x, g.sigmoid(x))],
    [', whichever comes first', (g, x) => g.mul(g.sigmoid(x), x)],
  ])('is one operator%s', async (_, build) => {
    expect(await lowered(build)).toEqual(['QuickGelu']);
  });

  it.each<[string, string[], Build]>([
    ['it is the sigmoid of another', ['Relu', 'Sigmoid', 'Mul'], (g, x) => g.mul(x, g.sigmoid(g.relu(x)))],
    ['it is added', ['Sigmoid', 'Add'], (g, x) => g.add(x, g.sigmoid(x))],
    ['it is another function', ['Tanh', 'Mul'], (g, x) => g.mul(x, g.tanh(x))],
    [
      'the sigmoid is multiplied by itself',
      ['Sigmoid', 'Mul'],
      (g, x) => {
        const y = g.sigmoid(x);
        return g.mul(y, y);
      },
    ],
    [
      'others read the sigmoid too',
      ['Sigmoid', 'Mul', 'Add'],
      (g, x) => {
        const y = g.sigmoid(x);
        return g.add(g.mul(x, y), y);
      },
    ],
  ])('stays two where %s', async (_, expected, build) => {
    expect(await lowered(build)).toEqual(expected);
  });
});

describe('other operators', () => {
  it('pool maps by a mean, and sequences as they did', async () => {
    expect(await lowered((g, x) => g.op('GlobalAveragePool', [x]))).toEqual(['ReduceMean']);
    expect(await lowered((g, x) => g.op('GlobalAveragePool', [g.reshape(x, [-1, 3, 16])]))).toEqual([
      'Reshape',
      'GlobalAveragePool',
    ]);
  });

  it('are written by others where these are given', () => {
    const source = new Builder(18);
    const x = source.input('x', 'float32', [N, 3]);
    const y = source.relu(x);
    const [relu] = source.graph.nodes;
    if (!relu) throw new Error('no node');
    const g = new Builder(18);
    const rewrites = new Map([[relu, (node: Node, at: (value: Value) => Value) => g.exp(at(node.input(0)))]]);
    const at = lower(g, [relu], new Map([[x, g.input('x', 'float32', [N, 3])]]), rewrites);
    expect(at(y).producer?.op).toBe('Exp');
    expect(() => at(new Value('z'))).toThrow('"z" is neither computed nor given');
  });

  it('of a file that do not fit what is given are its fault', () => {
    const source = new Builder(18);
    const [a, b] = [source.input('a', 'float32', [2]), source.input('b', 'float32', [2])];
    source.op('Add', [a, b], {}, { name: 'odd' });
    const g = new Builder(18);
    const given = new Map([
      [a, g.input('a', 'float32', [2])],
      [b, g.input('b', 'float32', [3])],
    ]);
    expect(() => lower(g, source.graph.nodes, given)).toThrow(
      /"odd.*\(Add\) cannot broadcast.*the model file is damaged/,
    );
  });
});

describe('recompute', () => {
  const images = 8;
  /** The gradients of a network's weights; `middle` stands between two convolutions of 16 channels over 32 × 32 places: half a megabyte a map. */
  function training(middle: (g: Builder, x: Value) => Value) {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [images, 3, 32, 32]);
    const [first, second] = [g.input('first', 'float32', [16, 3, 1, 1]), g.input('second', 'float32', [2, 16, 1, 1])];
    const map = g.conv(middle(g, g.conv(x, first)), second);
    const logits = g.reduceMean(map, [2, 3], false);
    const forward = new Set(g.graph.nodes);
    const loss = g.reduceSum(g.logSoftmax(g.mul(logits, logits), -1), undefined, false);
    const gradients = differentiate(g, [...g.graph.nodes], loss, [first, second]);
    for (const [value, gradient] of gradients) g.output(`d_${value.name}`, gradient);
    return { g, forward, logits };
  }
  const shapes = { x: [images, 3, 32, 32], first: [16, 3, 1, 1], second: [2, 16, 1, 1] };
  const count = (nodes: readonly Node[], op: string) => nodes.filter((node) => node.op === op).length;

  it.each<[string, string, number, (g: Builder, x: Value) => Value]>([
    ['an activation', 'Softplus', 2, (g, x) => g.op('Softplus', [x])],
    ['activations in a row', 'Tanh', 2, (g, x) => g.tanh(g.op('Softplus', [x]))],
    ['a product with a number', 'Mul', 2, (g, x) => g.mul(g.op('Softplus', [x]), g.row('gate', [2]))],
    ['a small map', 'Softplus', 1, (g, x) => g.op('Softplus', [g.op('GlobalAveragePool', [x])])],
    [
      'what is no pass over memory',
      'MaxPool',
      1,
      (g, x) => g.op('MaxPool', [x], { kernel_shape: { kind: 'ints', value: [1, 1] } }),
    ],
  ])('does again what is cheap and large, with the same gradients: %s', async (_, op, times, middle) => {
    const { g, forward, logits } = training(middle);
    const before = await run(g.graph, shapes);
    const added = g.graph.nodes.length;
    const nodes = recompute(g, forward, logits);
    const own = nodes.filter((node) => forward.has(node) || !g.graph.nodes.slice(0, added).includes(node));
    expect(count(own, op)).toBe(times);
    const after = await run({ ...g.graph, nodes }, shapes);
    for (const [name, values] of Object.entries(before)) expectClose(after[name], values);
  });

  it('gives the nodes in an order in which each follows what it reads, and none that nobody needs', () => {
    const { g, forward, logits } = training((builder, x) => {
      builder.op('Sin', [x]);
      return builder.op('Softplus', [x]);
    });
    const nodes = recompute(g, forward, logits);
    const written = new Set<Value | undefined>([undefined, ...g.graph.inputs]);
    for (const { inputs, outputs } of nodes) {
      expect(inputs.filter((input) => !input?.constant && !written.has(input))).toEqual([]);
      for (const output of outputs) written.add(output);
    }
    expect(count(nodes, 'Sin')).toBe(0);
  });
});
