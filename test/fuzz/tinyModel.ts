import { Builder } from '../../src/graph/builder.js';
import { float, int, ints, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import type { ModelProto } from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';

/**
 * A classifier of a few kilobytes that has something of every family: BatchNormalization, a squeeze-excite gate, a
 * depthwise convolution in a residual block, a computed Reshape, two FC layers and a Softmax.
 */
export function tinyModel(): ModelProto {
  const g = new Builder(18);
  const random = new Random(7);
  const weight = (name: string, dims: readonly number[]): Value =>
    g.constant(
      name,
      floatTensor(
        dims,
        Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal() / 3),
      ),
    );
  const vector = (name: string, length: number, value: number): Value =>
    g.constant(name, floatTensor([length], new Float32Array(length).fill(value)));
  const conv = (name: string, x: Value, dims: readonly number[], attributes: Record<string, readonly number[]>) =>
    g.op(
      'Conv',
      [x, weight(`${name}.weight`, dims), vector(`${name}.bias`, dims[0] ?? 0, 0.1)],
      {
        ...Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, ints(value)])),
        group: int(dims[1] === 1 ? (dims[0] ?? 1) : 1),
      },
      { name },
    );

  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
  let x = conv('stem', image, [4, 3, 3, 3], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  x = g.op(
    'BatchNormalization',
    [x, vector('gamma', 4, 1), vector('beta', 4, 0), vector('mean', 4, 0.1), vector('variance', 4, 0.9)],
    { epsilon: float(1e-5) },
    { name: 'norm' },
  );
  x = g.relu(x);
  let gate = g.op('GlobalAveragePool', [x], {}, { name: 'squeeze' });
  gate = g.relu(conv('reduce', gate, [2, 4, 1, 1], {}));
  gate = g.sigmoid(conv('expand', gate, [4, 2, 1, 1], {}));
  x = g.mul(x, gate);
  x = g.add(x, conv('depthwise', x, [4, 1, 3, 3], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }));
  x = g.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, { name: 'pool' });
  x = g.op('Clip', [conv('last', x, [6, 4, 1, 1], {}), g.scalar(0), g.scalar(6)], {}, { name: 'relu6' });
  x = g.reduceMean(x, [2, 3], true);
  const batch = g.gather(g.op('Shape', [x]), g.constant('first', intTensor([1], [0])), 0);
  x = g.op('Reshape', [x, g.concat([batch, g.vector([-1])], 0)], {}, { name: 'flatten' });
  x = g.op('Gemm', [x, weight('fc1.weight', [5, 6]), vector('fc1.bias', 5, 0)], { transB: int(1) }, { name: 'fc1' });
  x = g.relu(x);
  x = g.add(g.op('MatMul', [x, weight('fc2.weight', [5, 4])], {}, { name: 'fc2' }), vector('fc2.bias', 4, 0));
  g.output('classes', g.softmax(x, 1));
  return modelOfGraph(g.graph, 'tiny');
}
