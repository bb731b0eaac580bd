import * as ort from './ort.js';
import { z } from 'zod';
import { METADATA, type Preprocessing, preprocessingSchema } from '../artifacts/manifest.js';
import { messageOf, UserError } from '../errors.js';
import { metadataOf, readModel } from '../onnx/model.js';

/** An exported model in a plain session: pixels in, class scores out. */
export class ImageClassifier {
  private constructor(
    readonly labels: readonly string[],
    readonly preprocessing: Preprocessing,
    private readonly session: ort.InferenceSession,
    private readonly input: string,
    private readonly output: string,
    private readonly channelsFirst: boolean,
  ) {}

  /** @throws UserError `no-metadata` when the file lacks labels or preprocessing, `not-loadable` when ONNX Runtime refuses it. */
  static async open(path: string, threads = 0): Promise<ImageClassifier> {
    const { proto } = readModel(path);
    const metadata = metadataOf(proto);
    const read = <T>(key: string, schema: z.ZodType<T>): T => {
      try {
        return schema.parse(JSON.parse(metadata.get(key) ?? 'null'));
      } catch {
        throw new UserError(
          'no-metadata',
          `${path} says nothing of its ${key} in its metadata; give a model that ort-tl has exported`,
        );
      }
    };
    const labels = read(METADATA.labels, z.array(z.string()));
    const preprocessing = read(METADATA.preprocessing, preprocessingSchema);
    let session: ort.InferenceSession;
    try {
      session = await ort.InferenceSession.create(path, {
        logSeverityLevel: 4,
        ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
      });
    } catch (thrown) {
      throw new UserError('not-loadable', `ONNX Runtime cannot load ${path}: ${messageOf(thrown)}`);
    }
    const [input] = session.inputMetadata;
    const output = session.outputMetadata.find(
      (each) => each.isTensor && each.shape.length === 2 && each.shape[1] === labels.length,
    );
    if (!input?.isTensor || !output)
      throw new UserError('not-loadable', `${path} does not map an image to ${labels.length} classes`);
    return new ImageClassifier(labels, preprocessing, session, input.name, output.name, input.shape[1] === 3);
  }

  /** Class scores [count, classes] of `pixels`, uint8 RGB [count, H, W, 3]. @throws UserError `not-runnable`. */
  async run(pixels: Uint8Array, count: number): Promise<Float32Array> {
    const { height, width, mean, std } = this.preprocessing;
    const area = height * width;
    const data = new Float32Array(count * 3 * area);
    for (let image = 0; image < count; image++) {
      for (let pixel = 0; pixel < area; pixel++) {
        for (let channel = 0; channel < 3; channel++) {
          const value = (pixels[(image * area + pixel) * 3 + channel] ?? 0) / 255;
          const at = this.channelsFirst ? (image * 3 + channel) * area + pixel : (image * area + pixel) * 3 + channel;
          data[at] = (value - (mean[channel] ?? 0)) / (std[channel] ?? 1);
        }
      }
    }
    const shape = this.channelsFirst ? [count, 3, height, width] : [count, height, width, 3];
    const feeds = { [this.input]: new ort.Tensor('float32', data, shape) };
    try {
      const results = await this.session.run(feeds, [this.output]);
      return results[this.output]?.data as Float32Array;
    } catch (thrown) {
      throw new UserError('not-runnable', `ONNX Runtime failed while it ran the model: ${messageOf(thrown)}`);
    }
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}
