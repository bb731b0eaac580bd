import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { type Graph, int, ints, showShape, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { selectEarly } from '../../src/graph/selectEarly.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor, intTensor } from '../../src/onnx/tensor.js';

const [N, T, C] = [2, 5, 4];
const values = (dims: readonly number[], seed: number) =>
  Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(seed + 1.7 * index));

type Build = (g: Builder, x: Value, constant: (...dims: number[]) => Value) => Value;

function network(build: Build): Graph {
  const g = new Builder(18);
  const x = g.input('x', 'float32', [{ batch: 1 }, T, C]);
  let seed = 3;
  g.output(
    'y',
    build(g, x, (...dims) => g.constant('c', floatTensor(dims, [...values(dims, seed++)]))),
  );
  return g.graph;
}

async function run(graph: Graph): Promise<number[]> {
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(graph, 'test')), { intraOpNumThreads: 1 });
  const { y } = await session.run({ x: new ort.Tensor('float32', values([N, T, C], 1), [N, T, C]) });
  await session.release();
  return Array.from(y?.data as Float32Array);
}

/** Token 0, its axis gone. */
const token = (g: Builder, x: Value) => g.op('Gather', [x, g.constant('first', intTensor([], [0]))], { axis: int(1) });

/** Self-attention with two heads. */
const attention: Build = (g, x, c) => {
  const heads = (weight: Value) => g.transpose(g.reshape(g.matmul(x, weight), [-1, T, 2, C / 2]), [0, 2, 1, 3]);
  const [q, k, v] = [heads(c(C, C)), heads(c(C, C)), heads(c(C, C))];
  const weights = g.op('Softmax', [g.matmul(q, g.transpose(k, [0, 1, 3, 2]))], { axis: int(-1) });
  return g.reshape(g.transpose(g.matmul(weights, v), [0, 2, 1, 3]), [-1, T, C]);
};

/** A block with shortcuts, and the norm behind it. */
const block: Build = (g, x, c) => {
  const norm = (value: Value) => g.op('LayerNormalization', [value, c(C), c(C)], { axis: int(-1) });
  const h = g.add(x, attention(g, norm(x), c));
  const wide = g.op('Tanh', [g.add(g.matmul(norm(h), c(C, 7)), c(7))]);
  return norm(g.add(h, g.matmul(wide, c(7, C))));
};

/** The shapes of what nodes of `op` give. */
const shapesOf = ({ nodes }: Graph, op: string) =>
  nodes.filter((node) => node.op === op).map((node) => showShape(node.outputs[0]?.shape));

describe('selecting early', () => {
  it('computes of a block only the place that is read, and of its keys and values all', async () => {
    const build: Build = (g, x, c) => token(g, block(g, x, c));
    const graph = network(build);
    selectEarly(graph);
    expect(shapesOf(graph, 'MatMul')).toEqual([
      ...['[N, 1, 4]', '[N, 5, 4]', '[N, 5, 4]'],
      ...['[N, 2, 1, 5]', '[N, 2, 1, 2]', '[N, 1, 7]', '[N, 1, 4]'],
    ]);
    const [given, expected] = [await run(graph), await run(network(build))];
    given.forEach((value, index) => expect(value).toBeCloseTo(expected[index] ?? NaN, 5));
    expect(given).toHaveLength(N * C);
  });

  it('keeps all places where readers want several of them, or the mean', async () => {
    const last: Build = (g, x) => g.op('Gather', [x, g.constant('last', intTensor([], [T - 1]))], { axis: int(1) });
    const wanted: Record<string, Build> = {
      'two places': (g, x, c) => {
        const y = g.matmul(x, c(C, C));
        return g.add(token(g, y), last(g, y, c));
      },
      'the mean too': (g, x, c) => {
        const y = g.matmul(x, c(C, C));
        const mean = g.op('ReduceMean', [y, g.constant('axes', intTensor([1], [1]))], { keepdims: int(0) });
        return g.add(token(g, y), mean);
      },
    };
    for (const build of Object.values(wanted)) {
      const graph = network(build);
      selectEarly(graph);
      expect(shapesOf(graph, 'MatMul')).toEqual(['[N, 5, 4]']);
      expect(await run(graph)).toEqual(await run(network(build)));
    }
  });

  it.each<[string, Build]>([
    ['along the axis that is normalized', (g, x) => token(g, g.op('Softmax', [x], { axis: int(1) }))],
    ['through what is stretched', (g, x, c) => token(g, g.mul(g.add(x, c(T, 1)), c(1, C)))],
    [
      'with the axis kept',
      (g, x) => g.op('Gather', [g.relu(x), g.constant('i', intTensor([1], [-2]))], { axis: int(1) }),
    ],
    [
      'where others need all of what a Reshape takes',
      (g, x) => {
        const y = g.relu(g.reshape(x, [-1, T, 2, C / 2]));
        const third = g.op('Gather', [y, g.constant('third', intTensor([], [3]))], { axis: int(1) });
        const mean = g.op('ReduceMean', [x, g.constant('axes', intTensor([1], [1]))], { keepdims: int(0) });
        return g.add(g.reshape(third, [-1, C]), mean);
      },
    ],
    ['through a Reshape that parts the axis', (g, x) => token(g, g.reshape(g.relu(x), [-1, T * 2, 2]))],
    ['through a Transpose', (g, x) => token(g, g.op('Transpose', [g.relu(x)], { perm: ints([0, 2, 1]) }))],
    [
      'of a channel',
      (g, x, c) => g.op('Gather', [g.matmul(x, c(C, C)), g.constant('i', intTensor([], [2]))], { axis: int(2) }),
    ],
  ])('gives the same %s', async (_, build) => {
    const graph = network(build);
    selectEarly(graph);
    expect(await run(graph)).toEqual(await run(network(build)));
  });
});
