import { giveBack } from '../giveBack.js';
import * as ort from './ort.js';
import { PIXELS } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import { encodeModel } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { underWay } from '../underWay.js';
import { type ModelRunner, openRunner, sharesFor } from './modelRunner.js';
import { buffersOf } from './sentTensor.js';

export interface CalibrateOptions {
  readonly height: number;
  readonly width: number;
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  /** Images that are expected. */
  readonly images: number;
  /** Whether memory is short, so that there is one session. */
  readonly isLimited: boolean;
}

/**
 * Runs `model` on images, uint8 RGB [height, width, 3] each, and hands what each of its outputs holds to `observe`, in the order of the
 * images, however many sessions share them; gives how many images there have been after each.
 * @throws UserError `not-loadable` when ONNX Runtime refuses the model.
 */
export async function* calibrate(
  model: ModelProto,
  images: AsyncIterable<Uint8Array>,
  options: CalibrateOptions,
  observe: (name: string, numbers: Float32Array) => void,
): AsyncGenerator<number> {
  const { height, width } = options;
  const { runner, sessions } = await open(model, options);
  const outputs = runner.ends.outputs.map(({ name }) => name);
  try {
    let count = 0;
    // All activations of a photo are several times what the model takes: no more than one lies about for each session.
    const running = underWay(images, sessions, (data) =>
      runner.run([{ name: PIXELS, type: 'uint8', dims: [1, height, width, 3], data }], outputs),
    );
    for await (const results of running) {
      for (const { name, data } of results) if (data instanceof Float32Array) observe(name, data);
      giveBack(buffersOf(results));
      yield ++count;
    }
  } finally {
    await runner.close();
  }
}

async function open(
  model: ModelProto,
  { threads, images, isLimited }: CalibrateOptions,
): Promise<{ readonly runner: ModelRunner; readonly sessions: number }> {
  const bytes = encodeModel(model);
  const modelBytes = bytes.length;
  const shares = isLimited ? { sessions: 1, threads } : sharesFor({ threads, images, modelBytes });
  try {
    const runner = await openRunner(bytes, { ...ort.SESSION_OPTIONS, enableMemPattern: false }, shares);
    return { runner, sessions: shares.sessions };
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    const what = `ONNX Runtime cannot load the frozen part: ${ort.reasonOf(thrown)}`;
    throw machineErrorOf(thrown) ?? new UserError('not-loadable', what, { cause: thrown });
  }
}
