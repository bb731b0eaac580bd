import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { BLOCKED } from '../../src/graph/domains.js';
import { rules } from '../../src/autodiff/registry.js';
import { Builder } from '../../src/graph/builder.js';
import { int, type Value } from '../../src/graph/graph.js';
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

describe('Dropout', () => {
  it('lets the gradient through where its seeded mask let the value through', async () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [64]);
    const inTraining = g.constant('training', tensor('bool', [], Uint8Array.of(1)));
    const y = g.output('y', g.op('Dropout', [x, g.scalar(0.25), inTraining], { seed: int(7) }));
    const loss = g.reduceSum(g.mul(y, y), undefined, false);
    const dx = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
    if (dx) g.output('dx', dx);
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')));
    const results = await session.run({ x: new ort.Tensor('float32', new Float32Array(64).fill(3), [64]) });
    const values = Array.from(results['y']?.data as Float32Array);
    expect(new Set(values)).toEqual(new Set([0, 4]));
    // dy = 2y, and dx = dy / (1 − ratio) where y is not 0.
    const gradient = Array.from(results['dx']?.data as Float32Array);
    gradient.forEach((slope, index) => expect(slope).toBeCloseTo(values[index] === 0 ? 0 : 8 / 0.75, 4));
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
