import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { multiplyAdds, peakActivationBytes } from '../../src/graph/cost.js';
import { float, int, ints, type Value } from '../../src/graph/graph.js';
import { floatTensor } from '../../src/onnx/tensor.js';

const constant = (g: Builder, ...dims: number[]) =>
  g.constant('c', floatTensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1))));

describe('multiply-adds', () => {
  // Counted by hand: for each element of the result, the products that are summed in it.
  it.each<[string, number, number, number[], (g: Builder, x: Value) => Value]>([
    ['a convolution', 1, 4 * 6 * 6 * (3 * 3 * 3), [3, 8, 8], (g, x) => g.conv(x, constant(g, 4, 3, 3, 3))],
    ['one of five images', 5, 5 * 4 * 6 * 6 * (3 * 3 * 3), [3, 8, 8], (g, x) => g.conv(x, constant(g, 4, 3, 3, 3))],
    ['groups', 1, 6 * 8 * 8 * 2, [4, 8, 8], (g, x) => g.conv(x, constant(g, 6, 2, 1, 1), { group: 2 })],
    [
      'a transposed one',
      2,
      2 * 3 * 8 * 8 * (4 * 2 * 2),
      [3, 8, 8],
      (g, x) => g.convTranspose(x, constant(g, 3, 4, 2, 2), { strides: [2, 2] }),
    ],
    ['A·B', 5, 5 * 6 * 4, [4], (g, x) => g.gemm(x, constant(g, 4, 6))],
    ['A·Bᵀ', 5, 5 * 6 * 4, [4], (g, x) => g.gemm(x, constant(g, 6, 4), { transB: true })],
    ['a product of matrices', 5, 5 * 7 * 6 * 4, [7, 4], (g, x) => g.matmul(x, constant(g, 4, 6))],
    ['a product with a vector', 5, 5 * 7 * 4, [7, 4], (g, x) => g.matmul(x, constant(g, 4))],
    ['an activation', 5, 5 * 12, [3, 4], (g, x) => g.relu(x)],
    ['a sum over much', 5, 5 * 12, [3, 4], (g, x) => g.reduceSum(x, [1, 2])],
    ['what is made larger', 5, 5 * 12, [3, 1], (g, x) => g.add(x, constant(g, 4))],
  ])('of %s, for %d images, are %d', (_, batch, expected, dims, build) => {
    const g = new Builder(18);
    const { producer } = build(g, g.input('x', 'float32', [{ batch: 1 }, ...dims]));
    expect(producer && multiplyAdds(producer, batch)).toBe(expected);
  });
});

describe('the peak of activations', () => {
  const peak = (build: (g: Builder, x: Value) => Value) => {
    const g = new Builder(18);
    const y = build(g, g.input('x', 'float32', [100]));
    g.output('y', y);
    return peakActivationBytes(g.graph);
  };

  // Values of 400 bytes; the input and the result are not counted.
  it.each<[string, number, (g: Builder, x: Value) => Value]>([
    ['one operator', 0, (g, x) => g.relu(x)],
    ['two in a row', 1, (g, x) => g.relu(g.exp(x))],
    ['three in a row', 2, (g, x) => g.relu(g.exp(g.tanh(x)))],
    ['two that are added', 2, (g, x) => g.add(g.exp(x), g.tanh(x))],
    // ONNX Runtime goes back from the end, and into what was written last first.
    ['three in a row, and one written before', 2, (g, x) => g.add(g.exp(x), g.tanh(g.sigmoid(g.abs(x))))],
    ['three in a row, and one written behind', 3, (g, x) => g.add(g.tanh(g.sigmoid(g.abs(x))), g.exp(x))],
    ['what is computed twice', 1, (g, x) => g.add(g.exp(x), g.exp(x))],
    [
      'what is computed with other attributes',
      2,
      (g, x) => g.add(g.op('Elu', [x], { alpha: float(1) }), g.op('Elu', [x], { alpha: float(2) })),
    ],
    [
      'what is computed with the same, in another order',
      1,
      (g, x) => {
        const a = { alpha: float(0.1), beta: float(0.5) };
        return g.add(g.op('HardSigmoid', [x], a), g.op('HardSigmoid', [x], { beta: a.beta, alpha: a.alpha }));
      },
    ],
    ['what is computed twice from what is computed twice', 2, (g, x) => g.add(g.tanh(g.exp(x)), g.tanh(g.exp(x)))],
    ['a Reshape, which takes no memory', 1, (g, x) => g.relu(g.reshape(g.reshape(g.exp(x), [10, 10]), [100]))],
    [
      'operators that only say another shape',
      1,
      (g, x) =>
        g.relu(g.squeeze(g.unsqueeze(g.op('Flatten', [g.op('Identity', [g.exp(x)])], { axis: int(0) }), [0]), [0])),
    ],
    ['a Reshape of the result, which is written at once', 0, (g, x) => g.reshape(g.exp(x), [10, 10])],
    [
      'a value that is read by its other name too',
      2,
      (g, x) => {
        const y = g.exp(x);
        return g.add(g.reshape(g.tanh(g.reshape(y, [10, 10])), [100]), y);
      },
    ],
    [
      'a result that nobody reads',
      1,
      (g, x) => {
        g.exp(x);
        return g.relu(x);
      },
    ],
  ])('with %s is that of %d values', (_, values, build) => {
    expect(peak(build)).toBe(400 * values);
  });

  it('counts what an operator gives beside what another one computed before', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [1, 1, 100]);
    const attributes = { kernel_shape: ints([1]) };
    const y = g.op('MaxPool', [x], attributes);
    const [, places = x] = g.ops('MaxPool', [x], 2, attributes);
    g.output('y', g.add(y, g.cast(places, 1)));
    // The places are int64, and there while they become float32.
    expect(peakActivationBytes(g.graph)).toBe(800 + 400);
  });

  it('counts what a Split gives, each part once', () => {
    const bytes = peak((g, x) => {
      const [a = x, b = x] = g.ops('Split', [x], 2, { axis: int(0) });
      return g.add(g.exp(a), b);
    });
    expect(bytes).toBe(3 * 200);
  });
});
