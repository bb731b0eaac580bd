// What the machine could do at most: a large Gemm, and ONNX Runtime's own inference.
import { availableParallelism } from 'node:os';
import * as ort from 'onnxruntime-node';
import { Builder } from '../../dist/graph/builder.js';
import { modelOfGraph } from '../../dist/graph/proto.js';
import { encodeModel } from '../../dist/onnx/model.js';
import { floatTensor } from '../../dist/onnx/tensor.js';
import { noise, timed } from './timed.js';

/** @type {ort.InferenceSession.SessionOptions} */
const SESSION = { executionMode: 'sequential', interOpNumThreads: 1, logSeverityLevel: 3 };
/** Rows, columns and depth of the Gemm by which the machine is judged: 2·1536³ operations, a tenth of a second on two cores. */
const GEMM_SIDE = 1536;

/**
 * Multiply-adds a second of one large Gemm, the weights constant as in inference, and of the given inference batches.
 * @param {{ model: string, batches: readonly number[], size?: number, steps?: number, threads?: number }} settings
 */
export async function measureMachine({ model, batches, size = 224, steps = 8, threads = 0 }) {
  const options = { ...SESSION, intraOpNumThreads: threads || availableParallelism() };
  const values = noise(new Float32Array(GEMM_SIDE ** 2), (value) => value / 2 ** 24 - 0.5);
  const g = new Builder(17);
  const a = g.input('a', 'float32', [GEMM_SIDE, GEMM_SIDE]);
  g.output('y', g.op('MatMul', [a, g.constant('b', floatTensor([GEMM_SIDE, GEMM_SIDE], values))]));
  const gemm = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'gemm')), options);
  const feeds = { a: new ort.Tensor('float32', values, [GEMM_SIDE, GEMM_SIDE]) };
  const gemmMs = await timed(3 * steps, () => gemm.run(feeds));
  await gemm.release();

  const session = await ort.InferenceSession.create(model, options);
  const [input] = session.inputMetadata;
  if (!input?.isTensor) throw new Error(`${model} takes no tensor`);
  const [height = size, width = size] = input.shape.slice(2).map((dim) => (typeof dim === 'number' ? dim : size));
  /** @type {Record<string, import('../../dist/bench/statistics.js').Spread>} */
  const inferenceMs = {};
  for (const batch of batches) {
    const data = noise(new Float32Array(batch * 3 * height * width), (value) => value / 2 ** 23 - 1);
    const images = { [input.name]: new ort.Tensor('float32', data, [batch, 3, height, width]) };
    inferenceMs[batch] = await timed(steps, () => session.run(images));
  }
  return { multiplyAddsPerSecond: GEMM_SIDE ** 3 / (gemmMs.min / 1000), gemmMs, inferenceMs };
}
