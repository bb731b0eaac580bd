import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { canonicalize, refuseFlattenedSoftmax } from '../../src/graph/canonical.js';
import { type Attribute, int, ints, text } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { convGeometry } from '../../src/graph/shapes.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount } from '../../src/onnx/tensor.js';

describe('the shapes of further outputs', () => {
  it('are those of the means for LayerNormalization', () => {
    const g = new Builder(18);
    const [x, scale] = [g.input('x', 'float32', [2, 3, 4]), g.input('scale', 'float32', [3, 4])];
    const [y, mean] = g.ops('LayerNormalization', [x, scale], 2, { axis: int(1) });
    expect(y?.shape).toEqual([2, 3, 4]);
    expect(mean?.shape).toEqual([2, 1, 1]);
  });

  it('are boolean for the mask of Dropout', () => {
    const g = new Builder(18);
    const [, mask] = g.ops('Dropout', [g.input('x', 'float32', [2, 3])], 2);
    expect(mask).toMatchObject({ dtype: 'bool', shape: [2, 3] });
  });
});

describe('a ConvTranspose that sizes its own output', () => {
  const run = async (attributes: Record<string, Attribute>) => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', [1, 2, 3, 4]), g.input('w', 'float32', [2, 2, 4, 3])];
    const y = g.output('y', g.op('ConvTranspose', [x, w], attributes));
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')));
    const values = (dims: readonly number[]) =>
      new ort.Tensor(
        'float32',
        Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(index + 1)),
        dims,
      );
    const result = (await session.run({ x: values([1, 2, 3, 4]), w: values([2, 2, 4, 3]) }))['y'];
    await session.release();
    return { inferred: y.shape, dims: result?.dims, data: result?.data, node: y.producer?.input(0).producer };
  };
  const strides = ints([2, 2]);

  it.each([
    ['SAME_UPPER', { auto_pad: text('SAME_UPPER') }],
    ['SAME_LOWER', { auto_pad: text('SAME_LOWER') }],
    ['output_shape', { output_shape: ints([7, 8]) }],
  ])('cuts off what ONNX Runtime does for %s', async (_, attributes) => {
    const automatic = await run({ strides, ...attributes });
    expect(automatic.inferred).toEqual(automatic.dims);
    if (!automatic.node) throw new Error('the output has no ConvTranspose');
    const stated = await run({ strides, pads: ints(convGeometry(automatic.node).pads) });
    expect(stated.dims).toEqual(automatic.dims);
    expect(stated.data).toEqual(automatic.data);
  });
});

describe('operators whose meaning has changed', () => {
  it('refuses the old Hardmax over several axes', () => {
    const g = new Builder(9);
    g.op('Hardmax', [g.input('x', 'float32', [2, 3, 4])], {}, { name: 'hard' });
    canonicalize(g.graph);
    expect(() => refuseFlattenedSoftmax(g.graph, 9)).toThrow(/node "hard" \(Hardmax\) normalizes several axes at once/);
  });

  it('carries over a Dropout whose ratio is an attribute', () => {
    const g = new Builder(9);
    g.op('Dropout', [g.input('x', 'float32', [2])], { ratio: { kind: 'float', value: 0.5 } });
    canonicalize(g.graph);
    expect(g.graph.nodes[0]?.attributes.size).toBe(0);
  });
});
