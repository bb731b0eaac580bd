import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { type Attribute, int, ints, type Value } from '../../src/graph/graph.js';
import { lower } from '../../src/graph/lower.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { type Rows, valuesAsRows } from '../../src/graph/rows.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';

const [N, C, H, W, K] = [3, 4, 2, 5, 6];
const numbers = (dims: readonly number[], seed = 1) =>
  Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(seed + 1.7 * index));

/** A network of maps [N, C, H, W], built by `build`, and which of its values can be rows. */
function network(build: (g: Builder, x: Value, constant: (...dims: number[]) => Value) => Value) {
  const g = new Builder(18);
  const x = g.input('x', 'float32', [{ batch: 1 }, C, H, W]);
  let seed = 10;
  const y = build(g, x, (...dims) => g.constant('c', floatTensor(dims, [...numbers(dims, seed++)])));
  g.output('y', y);
  const { nodes, outputs } = g.graph;
  return { x, y, nodes, rows: valuesAsRows(nodes, [x], outputs, new Set()) };
}

/** What the network gives of N maps, laid out as they are or in rows. */
async function run({ x, y, nodes }: ReturnType<typeof network>, rows: Rows): Promise<ort.Tensor | undefined> {
  const g = new Builder(18);
  const isRows = rows.has(x);
  const shape = isRows ? [H * W, C] : [C, H, W];
  const given = g.input('x', 'float32', [{ batch: 1 }, ...shape]);
  g.output('y', lower(g, nodes, new Map([[x, given]]), new Map(), rows)(y));
  expect(g.graph.nodes.some(({ op }) => op === 'Gemm')).toBe(isRows);
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
    intraOpNumThreads: 1,
  });
  const maps = numbers([N, C, H, W]);
  const data = isRows
    ? Float32Array.from(maps, (_, at) => {
        const [image, place, channel] = [Math.floor(at / (C * H * W)), Math.floor(at / C) % (H * W), at % C];
        return maps[(image * C + channel) * H * W + place] ?? NaN;
      })
    : maps;
  const result = await session.run({ x: new ort.Tensor('float32', data, [N, ...shape]) });
  await session.release();
  return result['y'];
}

const pooled = (g: Builder, x: Value) => g.op('GlobalAveragePool', [x]);

describe('a network in rows', () => {
  it.each<[string, Parameters<typeof network>[0]]>([
    [
      'convolutions with and without bias',
      (g, x, c) => {
        const y = g.conv(x, c(K, C, 1, 1), {});
        return pooled(g, g.op('Conv', [g.relu(y), c(2, K, 1, 1), c(2)]));
      },
    ],
    [
      'a convolution with BatchNormalization and SiLU',
      (g, x, c) => {
        const [scale, shift, mean, variance] = [
          c(K),
          c(K),
          c(K),
          g.constant('v', floatTensor([K], [1, 2, 3, 4, 5, 6])),
        ];
        const y = g.op('BatchNormalization', [g.conv(x, c(K, C, 1, 1), {}), scale, shift, mean, variance]);
        return pooled(g, g.mul(y, g.sigmoid(y)));
      },
    ],
    [
      'a gate for each channel of each image, and numbers for each channel',
      (g, x, c) => {
        const gate = g.sigmoid(g.conv(pooled(g, x), c(C, C, 1, 1), {}));
        const y = g.add(g.mul(x, gate), g.mul(c(C, 1, 1), g.sub(x, c(1, C, 1, 1))));
        return g.reduceMean(g.conv(g.div(y, g.scalar(2)), c(K, C, 1, 1), {}), [2, 3], false);
      },
    ],
    ['a residual sum, summed up', (g, x, c) => g.reduceSum(g.add(x, g.conv(x, c(C, C, 1, 1), {})), [-1, -2])],
  ])('gives what maps give: %s', async (_, build) => {
    const it = network(build);
    expect(it.rows.has(it.x)).toBe(true);
    const [rows, maps] = [await run(it, it.rows), await run(it, new Set())];
    expect(rows?.dims).toEqual(maps?.dims);
    [...(rows?.data as Float32Array)].forEach((value, index) => {
      expect(value).toBeCloseTo(Number(maps?.data[index] ?? NaN), 5);
    });
  });

  it.each<[string, Parameters<typeof network>[0]]>([
    ['a kernel of several places', (g, x, c) => pooled(g, g.conv(x, c(K, C, 1, 3), {}))],
    ['a stride', (g, x, c) => pooled(g, g.conv(x, c(K, C, 1, 1), { strides: [2, 2] }))],
    ['groups', (g, x, c) => pooled(g, g.conv(x, c(C, 1, 1, 1), { group: C }))],
    ['numbers for each place', (g, x, c) => pooled(g, g.conv(g.mul(x, c(H, W)), c(K, C, 1, 1), {}))],
    ['a result that is a map', (g, x, c) => g.conv(x, c(K, C, 1, 1), {})],
    ['a map that is flattened', (g, x, c) => g.reshape(g.conv(x, c(K, C, 1, 1), {}), [-1, K * H * W])],
    ['a mean over one side', (g, x, c) => g.reduceMean(g.conv(x, c(K, C, 1, 1), {}), [2])],
    ['no convolution at all', (g, x) => pooled(g, g.relu(x))],
    [
      'a reader of what it begins with that wants maps',
      (g, x, c) => {
        const apart = g.op('MaxPool', [x], { kernel_shape: ints([2, 2]) });
        return g.add(pooled(g, g.conv(x, c(C, C, 1, 1), {})), pooled(g, apart));
      },
    ],
    [
      'another reader that wants maps',
      (g, x, c) => {
        const y = g.conv(x, c(C, C, 1, 1), {});
        const attributes: Record<string, Attribute> = { kernel_shape: ints([2, 2]), ceil_mode: int(0) };
        return g.add(pooled(g, y), pooled(g, g.op('MaxPool', [y], attributes)));
      },
    ],
  ])('stays as it is with %s', (_, build) => {
    expect([...network(build).rows]).toEqual([]);
  });
});
