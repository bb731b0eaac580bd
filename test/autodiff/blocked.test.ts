import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/gradient.js';
import { Builder } from '../../src/graph/builder.js';
import { ints, int, Node, Value } from '../../src/graph/graph.js';
import { lower } from '../../src/graph/lower.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount } from '../../src/onnx/tensor.js';
import { probeBlockSize } from '../../src/runtime/blockSize.js';

const blockSize = await probeBlockSize();

const [N, C] = [3, 32];
const numbers = (dims: readonly number[], seed: number) =>
  Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(seed + 1.3 * index));

interface Case {
  size: readonly [number, number];
  kernel: readonly [number, number];
  strides?: number[];
  dilations?: number[];
  pads?: number[];
  autoPad?: string;
}

/** y = conv(x, w) + b, one channel at a time, and the gradients of Σ y·r: in the blocked layout, or as standard operators. */
async function results({ size, kernel, strides, dilations, pads, autoPad }: Case, size_: number | undefined) {
  const [xDims, wDims] = [
    [N, C, ...size],
    [C, 1, ...kernel],
  ];
  const source = {
    x: new Value('x', 'float32', xDims),
    w: new Value('w', 'float32', wDims),
    b: new Value('b', 'float32', [C]),
  };
  const attributes = new Map([
    ['group', int(C)] as const,
    ...(strides ? [['strides', ints(strides)] as const] : []),
    ...(dilations ? [['dilations', ints(dilations)] as const] : []),
    ...(pads ? [['pads', ints(pads)] as const] : []),
    ...(autoPad ? [['auto_pad', { kind: 'string', value: autoPad } as const] as const] : []),
  ]);
  const y = new Value('y');
  const node = new Node({ op: 'Conv', name: 'conv', inputs: [source.x, source.w, source.b], outputs: [y], attributes });
  const g = new Builder(17, size_);
  const given = new Map(
    Object.values(source).map((value) => [value, g.input(value.name, 'float32', value.shape ?? [])]),
  );
  const out = lower(g, [node], given)(y);
  const r = g.input('r', 'float32', out.shape ?? []);
  const loss = g.reduceSum(g.mul(out, r), undefined, false);
  const inputs = [...given.values()];
  const gradients = differentiate(g, [...g.graph.nodes], loss, inputs);
  g.output('out', out);
  inputs.forEach((input) => g.output(`d${input.name}`, gradients.get(input) ?? input));
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
    intraOpNumThreads: 1,
  });
  const feeds = Object.fromEntries(
    g.graph.inputs.map(({ name, shape }, seed) => [
      name,
      new ort.Tensor('float32', numbers(shape as number[], seed), shape as number[]),
    ]),
  );
  const found = await session.run(feeds);
  await session.release();
  const isBlocked = g.graph.nodes.some(({ domain }) => domain === 'com.microsoft.nchwc');
  return { isBlocked, found: Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data])) };
}

describe.skipIf(!blockSize)('depthwise convolutions in the blocked layout (skipped where the runtime has none)', () => {
  it.each<[string, Case]>([
    ['3×3, padded', { size: [7, 6], kernel: [3, 3], pads: [1, 1, 1, 1] }],
    ['5×5, stride 2', { size: [9, 8], kernel: [5, 5], pads: [2, 2, 2, 2], strides: [2, 2] }],
    ['3×3, stride 2, of an even side', { size: [8, 8], kernel: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] }],
    ['without padding', { size: [5, 7], kernel: [3, 2] }],
    ['dilated', { size: [9, 9], kernel: [3, 3], pads: [2, 2, 2, 2], dilations: [2, 2] }],
    [
      'dilated, with a stride',
      { size: [11, 9], kernel: [3, 3], pads: [2, 1, 2, 1], dilations: [2, 1], strides: [3, 2] },
    ],
    ['padded on one side', { size: [6, 6], kernel: [3, 3], pads: [0, 0, 1, 1], strides: [2, 2] }],
    ['padded by more than the kernel', { size: [4, 4], kernel: [2, 2], pads: [2, 2, 2, 2] }],
    ['auto_pad', { size: [6, 5], kernel: [3, 3], autoPad: 'SAME_UPPER', strides: [2, 2] }],
    ['1×1', { size: [3, 3], kernel: [1, 1] }],
  ])('and their gradients are those of standard operators: %s', async (_, geometry) => {
    const [blocked, standard] = [await results(geometry, blockSize), await results(geometry, undefined)];
    expect([blocked.isBlocked, standard.isBlocked]).toEqual([true, false]);
    for (const name of ['out', 'dx', 'dw', 'db']) {
      const [a, b] = [blocked.found[name] as Float32Array, standard.found[name] as Float32Array];
      expect(a).toHaveLength(b.length);
      const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      a.forEach((value, index) => {
        expect(Math.abs(value - (b[index] ?? NaN)) / largest, `${name}[${index}]`).toBeLessThan(1e-5);
      });
    }
  });
});
