import * as ort from './ort.js';
import { UserError } from '../errors.js';
import { depthwise } from '../graph/blocked.js';
import { Builder } from '../graph/builder.js';
import { Node } from '../graph/graph.js';
import { modelOfGraph } from '../graph/proto.js';
import { machineErrorOf } from '../machineError.js';
import { encodeModel } from '../onnx/model.js';

/** Channels that MLAS keeps together: 16 with AVX-512, 8 with AVX2 and others. */
const SIZES = [16, 8] as const;
const CHANNELS = 16;
const SIDE = 3;

/**
 * The block size of the CPU provider's blocked layout on this machine, tried with a small convolution whose answer is known:
 * another size would give wrong numbers, not an error. Undefined where there is no such layout.
 */
export async function probeBlockSize(): Promise<8 | 16 | undefined> {
  for (const size of SIZES) if (await computes(size)) return size;
  return undefined;
}

async function computes(size: number): Promise<boolean> {
  const g = new Builder(17, size);
  const x = g.input('x', 'float32', [1, CHANNELS, SIDE, SIDE]);
  const w = g.input('w', 'float32', [CHANNELS, 1, SIDE, SIDE]);
  const geometry = { group: CHANNELS, kernel: [SIDE, SIDE], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] };
  g.output(
    'y',
    depthwise(g, new Node({ op: 'Conv', name: 'probe', inputs: [], outputs: [] }), geometry, [x, w, undefined]),
  );
  const values = (seed: number) =>
    Float32Array.from({ length: CHANNELS * SIDE * SIDE }, (_, index) => ((index * seed) % 11) - 5);
  const [xs, ws] = [values(7), values(3)];
  let session: ort.InferenceSession | undefined;
  try {
    session = await ort.openSession(encodeModel(modelOfGraph(g.graph, 'probe')), {
      ...ort.SESSION_OPTIONS,
      intraOpNumThreads: 1,
    });
    const { y } = await session.run({
      x: new ort.Tensor('float32', xs, [1, CHANNELS, SIDE, SIDE]),
      w: new ort.Tensor('float32', ws, [CHANNELS, 1, SIDE, SIDE]),
    });
    const results = y?.data as Float32Array;
    // Whole numbers, so that sums are exact in any order.
    return Array.from({ length: CHANNELS }, (_, channel) => {
      let sum = 0;
      for (let at = channel * SIDE * SIDE; at < (channel + 1) * SIDE * SIDE; at++) sum += (xs[at] ?? 0) * (ws[at] ?? 0);
      return sum;
    }).every((sum, channel) => results[channel] === sum);
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    // Only an answer tells of the layout.
    const machine = machineErrorOf(thrown);
    if (machine) throw machine;
    return false;
  } finally {
    await session?.release();
  }
}
