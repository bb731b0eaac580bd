import * as ort from 'onnxruntime-node';
import { encodeModel } from '../../src/onnx/model.js';
import type { ModelProto } from '../../src/onnx/onnx_pb.js';

/** What the transformers of `test/fixtures/transformers` take and give. */
export const [SIDE, IMAGES, CLASSES] = [32, 2, 10];

/** Whole numbers below 2²⁰, by the generator that the fixtures' scripts repeat. */
export function draws(count: number): number[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 12;
  });
}

/** Numbers from −1 to 1. */
export const spread = (count: number): number[] => draws(count).map((value) => value / 2 ** 19 - 1);

/** Two images, uint8 [{@link IMAGES}, {@link SIDE}, {@link SIDE}, 3]. */
export const pixels = Uint8Array.from(draws(IMAGES * SIDE * SIDE * 3), (value) => value % 256);

export const open = (model: ModelProto): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 });

export function floatsOf(tensor: ort.Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error('no numbers');
  return tensor.data;
}

/** The logits of a model in a plain session, one image at a time. */
export async function logitsOf(model: ModelProto): Promise<number[]> {
  const session = await open(model);
  const area = SIDE * SIDE;
  const logits: number[] = [];
  for (let image = 0; image < IMAGES; image++) {
    const planes = Float32Array.from(
      { length: 3 * area },
      (_, at) => (pixels[image * 3 * area + (at % area) * 3 + Math.floor(at / area)] ?? NaN) / 255,
    );
    const results = await session.run({ input: new ort.Tensor('float32', planes, [1, 3, SIDE, SIDE]) });
    logits.push(...floatsOf(results[session.outputNames[0] ?? '']));
  }
  return logits;
}
