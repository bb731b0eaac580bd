import type { Compiled } from '../artifacts/compile.js';
import { FILES } from '../artifacts/artifactFiles.js';
import { PIXELS, STEP_OUTPUTS } from '../artifacts/manifest.js';
import { encodeModel } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { Opened } from '../opened.js';
import * as ort from './ort.js';
import { openBytes, runResults, sessionOptions } from './partSessions.js';

type Tensors = Record<string, ort.Tensor>;

/** The frozen part and the evaluation of what was compiled, in sessions on the CPU, without files. */
export class CompiledParts {
  private constructor(
    private readonly compiled: Compiled,
    private readonly frozen: ort.InferenceSession | undefined,
    private readonly evaluation: ort.InferenceSession,
    private readonly opened: Opened,
  ) {}

  /** @throws UserError `not-loadable` when ONNX Runtime refuses one of them. */
  static async open(compiled: Compiled, threads: number): Promise<CompiledParts> {
    const opened = new Opened();
    const open = async (proto: ModelProto, file: string) =>
      opened.add(await openBytes(encodeModel(proto), file, sessionOptions(threads, 'cpu')), (each) => each.release());
    try {
      const frozen = compiled.frozen && (await open(compiled.frozen, FILES.frozen));
      return new CompiledParts(compiled, frozen, await open(compiled.evaluation, FILES.evaluation), opened);
    } catch (thrown) {
      await opened.close();
      throw thrown;
    }
  }

  /**
   * Logits [count, classes] of `pixels`, uint8 RGB [count, H, W, 3], in one run, with the parameters that a training begins with.
   * @throws UserError `not-runnable`.
   */
  async logits(pixels: Uint8Array, count: number): Promise<Float32Array> {
    const { manifest, state } = this.compiled;
    const { height, width } = manifest.preprocessing;
    const given: Tensors = { [PIXELS]: new ort.Tensor('uint8', pixels, [count, height, width, 3]) };
    if (this.frozen) Object.assign(given, await runResults(FILES.frozen, this.frozen, given));
    const feeds: Tensors = {};
    for (const { name } of manifest.boundary) if (given[name]) feeds[name] = given[name];
    for (const { name } of [...manifest.parameters, ...manifest.statistics]) {
      const value = state.get(name);
      if (value) feeds[name] = new ort.Tensor('float32', value.data as Float32Array, value.dims);
    }
    const results = await runResults(FILES.evaluation, this.evaluation, feeds);
    return results[STEP_OUTPUTS.logits]?.data as Float32Array;
  }

  close(): Promise<void> {
    return this.opened.close();
  }
}
