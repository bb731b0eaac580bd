import * as ort from './ort.js';
import { Builder } from '../graph/builder.js';
import { modelOfGraph } from '../graph/proto.js';
import { encodeModel } from '../onnx/model.js';

const LENGTH = 64;
const ROWS = 16;
const [ACTIVATION, WEIGHT] = [255, 127];

/**
 * Whether products of unsigned and signed bytes add up wrongly on this machine: x86 processors without VNNI add pairs of them in
 * 16 bits. Tried with the largest there are.
 */
export async function productsSaturate(): Promise<boolean> {
  const g = new Builder(18);
  const a = g.input('a', 'uint8', [ROWS, LENGTH]);
  const b = g.constant('b', { dtype: 'int8', dims: [LENGTH, ROWS], data: new Int8Array(LENGTH * ROWS).fill(WEIGHT) });
  const [y] = g.ops('MatMulInteger', [a, b], 1);
  if (!y) throw new Error('unreachable');
  y.dtype = 'int32';
  y.shape = [ROWS, ROWS];
  g.output('y', y);
  const session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'probe')), {
    ...ort.SESSION_OPTIONS,
    intraOpNumThreads: 1,
  });
  try {
    const pixels = new Uint8Array(ROWS * LENGTH).fill(ACTIVATION);
    const results = await session.run({ a: new ort.Tensor('uint8', pixels, [ROWS, LENGTH]) });
    const sums = results['y']?.data as Int32Array;
    return sums.some((sum) => sum !== LENGTH * ACTIVATION * WEIGHT);
  } finally {
    await session.release();
  }
}
