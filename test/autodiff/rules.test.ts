import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { BLOCKED } from '../../src/graph/domains.js';
import { rules } from '../../src/autodiff/registry.js';
import { Builder } from '../../src/graph/builder.js';
import { float, int, ints, text, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { tensor } from '../../src/onnx/tensor.js';
import { convolution } from './cases/convolution.js';
import { elementwise } from './cases/elementwise.js';
import { spatial } from './cases/spatial.js';
import { checkGradients } from './finiteDifferences.js';

const cases = [...convolution, ...elementwise, ...spatial];

describe('every rule has a case', () => {
  // The blocked layout's rules are held against the standard ones, in blocked.test.ts.
  it.each(rules.flatMap(({ op, domain }) => (domain === BLOCKED ? [] : [op])))('%s', (op) => {
    expect(cases.some((each) => each.op === op)).toBe(true);
  });
});

describe('gradients agree with central finite differences', () => {
  it.each(cases.map((each) => [each.op, each.what, each] as const))('%s: %s', async (_, __, each) => {
    await checkGradients(each);
  });
});

describe('a slope that changes at 0', () => {
  // What PyTorch gives there: the slope below, and the same share to each of two that are equal.
  it.each<[string, number, (g: Builder, x: Value) => Value]>([
    ['Relu', 0, (g, x) => g.relu(x)],
    ['LeakyRelu', 0.1, (g, x) => g.op('LeakyRelu', [x], { alpha: float(0.1) })],
    ['LeakyRelu that falls', -0.3, (g, x) => g.op('LeakyRelu', [x], { alpha: float(-0.3) })],
    ['LeakyRelu that rises faster below', 2, (g, x) => g.op('LeakyRelu', [x], { alpha: float(2) })],
    ['Elu', 1.7, (g, x) => g.op('Elu', [x], { alpha: float(1.7) })],
    ['PRelu', 0.2, (g, x) => g.op('PRelu', [x, g.scalar(0.2)])],
    ['Abs', 0, (g, x) => g.abs(x)],
    ['Max', 0.5, (g, x) => g.op('Max', [x, g.scalar(0)])],
    ['Min', 0.5, (g, x) => g.op('Min', [x, g.scalar(0)])],
    ['Max of three', 1 / 3, (g, x) => g.op('Max', [x, g.scalar(0), g.scalar(-0)])],
  ])('is taken there for %s as %d', async (_, expected, build) => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2]);
    const loss = g.reduceSum(build(g, x), undefined, false);
    const dx = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
    if (dx) g.output('dx', dx);
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
      intraOpNumThreads: 1,
    });
    const results = await session.run({ x: new ort.Tensor('float32', Float32Array.of(0, 0), [2]) });
    for (const slope of results['dx']?.data as Float32Array) expect(slope).toBeCloseTo(expected, 6);
    await session.release();
  });
});

describe('Dropout', () => {
  it('lets the gradient through where its seeded mask let the value through', async () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [64]);
    const inTraining = g.constant('training', tensor('bool', [], Uint8Array.of(1)));
    const y = g.output('y', g.op('Dropout', [x, g.scalar(0.25), inTraining], { seed: int(7) }));
    const loss = g.reduceSum(g.mul(y, y), undefined, false);
    const dx = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
    if (dx) g.output('dx', dx);
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
      intraOpNumThreads: 1,
    });
    const results = await session.run({ x: new ort.Tensor('float32', new Float32Array(64).fill(3), [64]) });
    const values = Array.from(results['y']?.data as Float32Array);
    expect(new Set(values)).toEqual(new Set([0, 4]));
    // dy = 2y, and dx = dy / (1 − ratio) where y is not 0.
    const gradient = Array.from(results['dx']?.data as Float32Array);
    gradient.forEach((slope, index) => expect(slope).toBeCloseTo(values[index] === 0 ? 0 : 8 / 0.75, 4));
    await session.release();
  });

  it('leaves out one half where no ratio is given', async () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [64]);
    const inTraining = g.constant('training', tensor('bool', [], Uint8Array.of(1)));
    const y = g.output('y', g.op('Dropout', [x, undefined, inTraining], { seed: int(7) }));
    const loss = g.reduceSum(y, undefined, false);
    const dx = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
    if (dx) g.output('dx', dx);
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
      intraOpNumThreads: 1,
    });
    const results = await session.run({ x: new ort.Tensor('float32', new Float32Array(64).fill(1), [64]) });
    expect(results['dx']?.data).toEqual(results['y']?.data);
    expect(new Set(results['dx']?.data as Float32Array)).toEqual(new Set([0, 2]));
    await session.release();
  });
});

describe('differentiate', () => {
  it('builds nothing for an input that is frozen', () => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', [2, 3]), g.input('w', 'float32', [3, 4])];
    const loss = g.reduceSum(g.gemm(x, w), undefined, false);
    const forward = g.graph.nodes.length;
    differentiate(g, [...g.graph.nodes], loss, [w]);
    expect(g.graph.nodes.slice(forward).filter(({ op }) => op === 'Gemm')).toHaveLength(1);
  });

  it('builds no convolution for weights that are frozen', () => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', [2, 3, 5, 5]), g.input('w', 'float32', [3, 1, 3, 3])];
    const loss = g.reduceSum(g.conv(x, w, { group: 3 }), undefined, false);
    const forward = g.graph.nodes.length;
    differentiate(g, [...g.graph.nodes], loss, [x]);
    expect(g.graph.nodes.slice(forward).filter(({ op }) => op.startsWith('Conv'))).toHaveLength(1);
  });

  it('names a node whose indices are computed', () => {
    const g = new Builder(18);
    const [x, indices] = [g.input('x', 'float32', [2, 3]), g.input('i', 'int64', [2])];
    const loss = g.reduceSum(g.op('Gather', [x, indices], { axis: int(1) }, { name: 'pick' }), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(
      /node "pick" \(Gather\) computes its indices \("i"\)/,
    );
  });

  it.each<[string, RegExp, (g: Builder, x: Value) => Value]>([
    [
      'that takes its statistics from the batch',
      /node "odd" \(BatchNormalization\) takes its statistics from the batch/,
      (g, x) => {
        const parts = ['scale', 'shift', 'mean', 'variance'].map((name) => g.row(name, [1, 1, 1]));
        return g.op('BatchNormalization', [x, ...parts], { training_mode: int(1) }, { name: 'odd' });
      },
    ],
    [
      'that counts by columns',
      /node "odd" \(MaxPool\) counts its positions by columns/,
      (g, x) => g.op('MaxPool', [x], { kernel_shape: ints([2, 2]), storage_order: int(1) }, { name: 'odd' }),
    ],
    [
      'that finds its pixels in a way of its own',
      /node "odd" \(Resize\) finds its pixels by "of_late"/,
      (g, x) =>
        g.op(
          'Resize',
          [x, undefined, undefined, g.vector([2, 3, 8, 8])],
          { mode: text('linear'), coordinate_transformation_mode: text('of_late') },
          { name: 'odd' },
        ),
    ],
  ])('names a node %s', (_, message, build) => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 3, 4, 4]);
    const loss = g.reduceSum(build(g, x), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(message);
  });

  it('says where what trains reaches an input that has no gradient', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [4]);
    const y = g.op('Clip', [g.scalar(1), g.reduceMean(x)], {}, { name: 'cut' });
    const loss = g.reduceSum(y, undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(
      /node "cut" \(Clip\) has no gradient for its input ".*", which depends on a trainable layer/,
    );
  });

  it('says where nothing but whole numbers leads from what trains to the loss', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [4]);
    const loss = g.reduceSum(g.cast(g.cast(x, 7), 1), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(/no gradient flows back to "x"/);
  });

  it.each<[string, number[], number[], string[], (g: Builder, x: Value, w: Value) => Value]>([
    ['one group: one product of all', [2, 3, 5, 5], [4, 3, 3, 3], ['Gemm'], (g, x, w) => g.conv(x, w)],
    ['several groups: a convolution', [2, 4, 5, 5], [6, 2, 3, 3], ['Conv'], (g, x, w) => g.conv(x, w, { group: 2 })],
    ['pointwise, few places: one product of all', [2, 8, 2, 2], [8, 8, 1, 1], ['Gemm'], (g, x, w) => g.conv(x, w)],
    ['pointwise, many places: one of each image', [2, 3, 9, 9], [4, 3, 1, 1], ['MatMul'], (g, x, w) => g.conv(x, w)],
    [
      'pointwise groups: a product of each group',
      [2, 4, 9, 9],
      [6, 2, 1, 1],
      ['MatMul'],
      (g, x, w) => g.conv(x, w, { group: 2 }),
    ],
  ])('takes for the weights of %s', (_, from, weights, expected, build) => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', from), g.input('w', 'float32', weights)];
    const loss = g.reduceSum(build(g, x, w), undefined, false);
    const forward = g.graph.nodes.length;
    differentiate(g, [...g.graph.nodes], loss, [w]);
    const products = g.graph.nodes.slice(forward).filter(({ op }) => /Conv|Gemm|MatMul/.test(op));
    expect(products.map(({ op }) => op)).toEqual(expected);
  });

  it.each<[string, number[], number[], string, Parameters<Builder['conv']>[2]]>([
    ['no strides, few weights: a convolution', [2, 3, 9, 9], [4, 3, 3, 3], 'Conv', {}],
    ['as many weights as what they multiply: a transposed one', [1, 9, 4, 4], [4, 9, 3, 3], 'ConvTranspose', {}],
    ['pointwise: a convolution, whatever the weights', [1, 9, 2, 2], [8, 9, 1, 1], 'Conv', {}],
    ['strides: a transposed one', [2, 3, 9, 9], [4, 3, 3, 3], 'ConvTranspose', { strides: [1, 2] }],
    [
      'more padding than a window: a transposed one',
      [2, 3, 9, 9],
      [4, 3, 3, 3],
      'ConvTranspose',
      { pads: [0, 3, 0, 0] },
    ],
    ['as much padding as a window: a convolution', [2, 3, 9, 9], [4, 3, 3, 3], 'Conv', { pads: [2, 2, 2, 2] }],
  ])('takes for the input of a convolution with %s', (_, from, weights, expected, attributes) => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', from), g.input('w', 'float32', weights)];
    const loss = g.reduceSum(g.conv(x, w, attributes), undefined, false);
    const forward = g.graph.nodes.length;
    differentiate(g, [...g.graph.nodes], loss, [x]);
    const convolutions = g.graph.nodes.slice(forward).filter(({ op }) => op.startsWith('Conv'));
    expect(convolutions.map(({ op }) => op)).toEqual([expected]);
  });

  it.each<[string, (g: Builder, y: Value, mean: Value) => Value]>([
    ['beside the first', (g, y, mean) => g.add(y, mean)],
    ['alone', (_, __, mean) => mean],
  ])('refuses a result of which the rule knows nothing, %s', (_, lossOf) => {
    const g = new Builder(18);
    const [x, scale] = [g.input('x', 'float32', [2, 3]), g.input('scale', 'float32', [3])];
    const [y = x, mean = x] = g.ops('LayerNormalization', [x, scale], 2, {}, { name: 'norm' });
    const loss = g.reduceSum(lossOf(g, y, mean), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(
      /node "norm" \(LayerNormalization\) has a gradient for its first result only/,
    );
  });

  it('sums the gradient of what was stretched before it multiplies it', () => {
    const g = new Builder(18);
    const [a, b] = [g.input('a', 'float32', [2, 3]), g.input('b', 'float32', [3])];
    const loss = g.reduceSum(g.sub(a, b), undefined, false);
    const db = differentiate(g, [...g.graph.nodes], loss, [b]).get(b);
    expect(db?.shape).toEqual([3]);
    expect(db?.producer).toMatchObject({ op: 'Neg' });
  });

  it('names the operator that has no rule', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [2, 3]);
    const loss = g.reduceSum(g.op('Hardmax', [x], {}, { name: 'act' }), undefined, false);
    expect(() => differentiate(g, [...g.graph.nodes], loss, [x])).toThrow(
      /node "act" \(Hardmax\) lies between a trainable layer and the loss/,
    );
  });
});
