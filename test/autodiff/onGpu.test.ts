import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { Builder } from '../../src/graph/builder.js';
import { concreteShape } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount } from '../../src/onnx/tensor.js';
import { convolution } from './cases/convolution.js';
import { checkGradients } from './finiteDifferences.js';

/** One spatial axis; its pads are those before and after. */
interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pads: readonly [number, number];
}

interface Depthwise {
  readonly images: number;
  readonly channels: number;
  readonly axes: readonly [Axis, Axis];
}

const smallSize = ({ size, kernel, stride, dilation, pads: [before, after] }: Axis) =>
  Math.floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1;

/** The sum over all that an element of the input takes part in, in float64. */
function expected({ images, channels, axes: [rows, columns] }: Depthwise, dy: Float32Array, w: Float32Array): number[] {
  const [height, width] = [smallSize(rows), smallSize(columns)];
  const dx = Array.from({ length: images * channels * rows.size * columns.size }, () => 0);
  for (let plane = 0; plane < images * channels; plane++)
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++)
        for (let i = 0; i < rows.kernel; i++)
          for (let j = 0; j < columns.kernel; j++) {
            const y = row * rows.stride + i * rows.dilation - rows.pads[0];
            const x = column * columns.stride + j * columns.dilation - columns.pads[0];
            if (y < 0 || y >= rows.size || x < 0 || x >= columns.size) continue;
            const tap = w[((plane % channels) * rows.kernel + i) * columns.kernel + j] ?? NaN;
            const at = (plane * rows.size + y) * columns.size + x;
            dx[at] = (dx[at] ?? NaN) + tap * (dy[(plane * height + row) * width + column] ?? NaN);
          }
  return dx;
}

const drawn = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, index) => Math.sin(seed + 1.3 * index));

/** The gradient of a depthwise convolution's input as a GPU gets it, and the operators that it takes. */
async function onGpu({ images, channels, axes }: Depthwise, dy: Float32Array, w: Float32Array) {
  const g = new Builder(17, undefined, true);
  const x = g.input('x', 'float32', [images, channels, ...axes.map(({ size }) => size)]);
  const weights = g.input('w', 'float32', [channels, 1, ...axes.map(({ kernel }) => kernel)]);
  const y = g.conv(x, weights, {
    group: channels,
    strides: axes.map(({ stride }) => stride),
    dilations: axes.map(({ dilation }) => dilation),
    pads: [...axes.map(({ pads }) => pads[0]), ...axes.map(({ pads }) => pads[1])],
  });
  const r = g.input('r', 'float32', concreteShape(y));
  const loss = g.reduceSum(g.mul(y, r), undefined, false);
  const dx = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
  if (!dx) throw new Error('no gradient');
  g.output('dx', dx);
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')));
  const results = await session.run({
    x: new ort.Tensor('float32', new Float32Array(elementCount(concreteShape(x))), concreteShape(x)),
    w: new ort.Tensor('float32', w, concreteShape(weights)),
    r: new ort.Tensor('float32', dy, concreteShape(y)),
  });
  await session.release();
  return { dx: results['dx']?.data as Float32Array, operators: new Set(g.graph.nodes.map(({ op }) => op)) };
}

describe('the gradient of a strided depthwise convolution for a GPU', () => {
  const pads: readonly (readonly [number, number])[] = [
    [0, 0],
    [0, 1],
    [1, 1],
    [2, 2],
    [1, 2],
    [3, 0],
  ];
  const kinds = [3, 5, 7].flatMap((kernel) =>
    [2, 3].flatMap((stride) => [1, 2].map((dilation) => ({ kernel, stride, dilation }))),
  );

  it.each(kinds)('is the sum that defines it: kernel $kernel, stride $stride, dilation $dilation', async (kind) => {
    for (const size of [14, 15, 16])
      for (const each of pads) {
        const rows: Axis = { ...kind, size, pads: each };
        // The other axis is of another kind.
        const columns: Axis = { size: 15, kernel: 4, stride: 5 - kind.stride, dilation: 1, pads: [2, 1] };
        const depthwise: Depthwise = { images: 2, channels: 3, axes: [rows, columns] };
        const dy = drawn(6 * smallSize(rows) * smallSize(columns), 1);
        const w = drawn(3 * rows.kernel * columns.kernel, 2);
        const { dx, operators } = await onGpu(depthwise, dy, w);
        const sums = expected(depthwise, dy, w);
        expect(dx).toHaveLength(sums.length);
        const largest = Math.max(...sums.map(Math.abs));
        const error = Math.max(...sums.map((sum, index) => Math.abs(sum - (dx[index] ?? NaN))));
        expect(error / largest, JSON.stringify(rows)).toBeLessThan(1e-6);
        expect(operators).not.toContain('ConvTranspose');
      }
  });
});

describe('gradients of convolutions for a GPU agree with central finite differences', () => {
  it.each(convolution.map((each) => [each.op, each.what, each] as const))('%s: %s', async (_, __, each) => {
    await checkGradients({ ...each, isForGpu: true });
  });
});

describe('a ConvTranspose that is built for a GPU', () => {
  // ONNX Runtime's CUDA provider leaves all others to the CPU.
  it.each(convolution.filter(({ op }) => op === 'Conv').map((each) => [each.what, each] as const))(
    'has the same pads before and after: %s',
    (_, { shapes, build }) => {
      const g = new Builder(18, undefined, true);
      const inputs = shapes.map((shape, index) => g.input(`x${index}`, 'float32', shape));
      const loss = g.reduceSum(build(g, inputs), undefined, false);
      differentiate(g, [...g.graph.nodes], loss, inputs);
      for (const node of g.graph.nodes) {
        if (node.op !== 'ConvTranspose') continue;
        const padding = node.ints('pads') ?? [];
        expect(padding.slice(0, padding.length / 2)).toEqual(padding.slice(padding.length / 2));
      }
    },
  );
});
