import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { canonicalize, refuseFlattenedSoftmax } from '../../src/graph/canonical.js';
import { convGeometry } from '../../src/graph/convGeometry.js';
import { type Attribute, int, ints, Node, text, Value } from '../../src/graph/graph.js';
import { inferGraph } from '../../src/graph/infer.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { inferNode } from '../../src/graph/shapes.js';
import { encodeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor } from '../../src/onnx/tensor.js';

describe('the shapes of further outputs', () => {
  it('are those of the means for LayerNormalization', () => {
    const g = new Builder(18);
    const [x, scale] = [g.input('x', 'float32', [2, 3, 4]), g.input('scale', 'float32', [3, 4])];
    const [y, mean] = g.ops('LayerNormalization', [x, scale], 2, { axis: int(1) });
    expect(y?.shape).toEqual([2, 3, 4]);
    expect(mean?.shape).toEqual([2, 1, 1]);
  });

  it('stay open where the shape of an input is not known', () => {
    const outputs = [new Value('a', 'float32', [1]), new Value('b', 'float32', [1])];
    const split = new Node({ op: 'Split', name: 'split', inputs: [new Value('x', 'float32')], outputs });
    expect(() => {
      inferNode(split);
    }).not.toThrow();
    expect(outputs.map(({ shape }) => shape)).toEqual([undefined, undefined]);
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
    const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
      intraOpNumThreads: 1,
    });
    const values = (dims: readonly number[]) =>
      new ort.Tensor(
        'float32',
        Float32Array.from({ length: elementCount(dims) }, (_, index) => Math.sin(index + 1)),
        dims,
      );
    const result = (await session.run({ x: values([1, 2, 3, 4]), w: values([2, 2, 4, 3]) }))['y'];
    await session.release();
    return { inferred: y.shape, dims: result?.dims, data: result?.data, node: y.producer };
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

describe('a convolution that pads itself', () => {
  // onnx/docs/Operators.md: (outputs - 1)·stride + (kernel - 1)·dilation + 1 - inputs, no less than 0; outputs = ⌈inputs/stride⌉.
  it.each<[string, { length: number; kernel: number; stride?: number; dilation?: number; how?: string }, number[]]>([
    ['one at each end', { length: 5, kernel: 3 }, [1, 1]],
    ['the odd one at the end', { length: 5, kernel: 2 }, [0, 1]],
    ['the odd one at the begin', { length: 5, kernel: 2, how: 'SAME_LOWER' }, [1, 0]],
    ['by its stride', { length: 7, kernel: 3, stride: 2 }, [1, 1]],
    ['by its stride, of an even length', { length: 8, kernel: 3, stride: 2 }, [0, 1]],
    ['by its dilation', { length: 9, kernel: 3, dilation: 2 }, [2, 2]],
    ['nothing where strides leave elements out', { length: 5, kernel: 1, stride: 3 }, [0, 0]],
    ['nothing where it just fits', { length: 5, kernel: 1, stride: 2 }, [0, 0]],
    ['nothing for VALID', { length: 5, kernel: 3, how: 'VALID' }, [0, 0]],
  ])('pads %s', (_, { length, kernel, stride = 1, dilation = 1, how = 'SAME_UPPER' }, expected) => {
    const g = new Builder(18);
    const [x, w] = [g.input('x', 'float32', [1, 1, length]), g.input('w', 'float32', [1, 1, kernel])];
    const attributes = { auto_pad: text(how), strides: ints([stride]), dilations: ints([dilation]) };
    const { producer } = g.op('Conv', [x, w], attributes);
    if (!producer) throw new Error('no node');
    expect(convGeometry(producer).pads).toEqual(expected);
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

describe('Upsample and the first Resize', () => {
  it.each([
    ['Upsample', 9, 2],
    ['Resize', 10, 2],
    ['Resize', 10, 0.6],
  ] as const)('%s of operator set %d by %d gives what it gave', async (op, opset, factor) => {
    const values = Float32Array.from({ length: 25 }, (_, index) => index);
    const run = async (isCanonical: boolean) => {
      const g = new Builder(opset);
      const x = g.input('x', 'float32', [1, 1, 5, 5]);
      const scales = g.constant('scales', floatTensor([4], [1, 1, factor, factor]));
      const y = new Value(
        'y',
        'float32',
        isCanonical ? undefined : [1, 1, Math.floor(5 * factor), Math.floor(5 * factor)],
      );
      g.graph.nodes.push(new Node({ op, name: 'grow', inputs: [x, scales], outputs: [y] }));
      g.graph.outputs.push(y);
      if (isCanonical) {
        canonicalize(g.graph);
        inferGraph(g.graph);
        expect(y.shape).toEqual([1, 1, Math.floor(5 * factor), Math.floor(5 * factor)]);
      }
      const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'test')), {
        intraOpNumThreads: 1,
      });
      const result = await session.run({ x: new ort.Tensor('float32', values, [1, 1, 5, 5]) });
      await session.release();
      return result['y']?.data;
    };
    expect(await run(true)).toEqual(await run(false));
  });
});
