import { giveBack } from '../giveBack.js';
import * as ort from './ort.js';
import { PIXELS } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import { encodeModel } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';

/**
 * Runs `model` on images, uint8 RGB [height, width, 3] each, and hands what each of its outputs holds to `observe`; gives how many
 * images there have been after each.
 * @throws UserError `not-loadable` when ONNX Runtime refuses the model.
 */
export async function* calibrate(
  model: ModelProto,
  images: AsyncIterable<Uint8Array>,
  { height, width, threads }: { readonly height: number; readonly width: number; readonly threads: number },
  observe: (name: string, numbers: Float32Array) => void,
): AsyncGenerator<number> {
  let session: ort.InferenceSession;
  try {
    session = await ort.openSession(encodeModel(model), {
      ...ort.SESSION_OPTIONS,
      enableMemPattern: false,
      ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    });
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    const what = `ONNX Runtime cannot load the frozen part: ${ort.reasonOf(thrown)}`;
    throw machineErrorOf(thrown) ?? new UserError('not-loadable', what, { cause: thrown });
  }
  try {
    let count = 0;
    for await (const pixels of images) {
      const results = await session.run({ [PIXELS]: new ort.Tensor('uint8', pixels, [1, height, width, 3]) });
      const numbers = Object.entries(results).flatMap(([name, { data }]) =>
        data instanceof Float32Array ? [{ name, data }] : [],
      );
      for (const { name, data } of numbers) observe(name, data);
      // All activations of a photo: several times what the model takes.
      giveBack(numbers.map(({ data }) => data.buffer));
      yield ++count;
    }
  } finally {
    await session.release();
  }
}
