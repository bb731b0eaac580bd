import * as ort from './ort.js';
import { explainingModel } from '../artifacts/explainingModel.js';
import { EXPLAIN } from '../plain/ownNames.js';
import { PIXELS, type Preprocessing } from '../artifacts/manifest.js';
import { encodeModel, readModel } from '../onnx/model.js';

export interface HeatMap {
  readonly width: number;
  readonly height: number;
  /** [height, width], 0 to 1. */
  readonly heat: Float32Array;
}

/** Tells where an exported model looked; see {@link explainingModel}. */
export class Explainer {
  private constructor(
    private readonly session: ort.InferenceSession,
    private readonly preprocessing: Preprocessing,
    private readonly classes: number,
  ) {}

  static async open(path: string, preprocessing: Preprocessing, classes: number): Promise<Explainer> {
    const model = encodeModel(explainingModel(readModel(path), preprocessing));
    return new Explainer(await ort.openSession(model, ort.SESSION_OPTIONS), preprocessing, classes);
  }

  /** Where in `pixels`, uint8 RGB [H, W, 3], the model saw class `index`; all zeros where nothing speaks for it. */
  async explain(pixels: Uint8Array, index: number): Promise<HeatMap> {
    const { height, width } = this.preprocessing;
    const chosen = new Float32Array(this.classes);
    chosen[index] = 1;
    const { [EXPLAIN.heat]: result } = await this.session.run(
      {
        [PIXELS]: new ort.Tensor('uint8', pixels, [1, height, width, 3]),
        [EXPLAIN.chosen]: new ort.Tensor('float32', chosen, [1, this.classes]),
      },
      [EXPLAIN.heat],
    );
    if (!result) throw new Error('unreachable');
    const [, , rows = 0, columns = 0] = result.dims;
    const heat = result.data as Float32Array;
    const largest = heat.reduce((most, value) => Math.max(most, value), 0);
    return { height: rows, width: columns, heat: largest === 0 ? heat : heat.map((value) => value / largest) };
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}
