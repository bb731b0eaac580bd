import { join } from 'node:path';
import type { Manifest } from '../artifacts/manifest.js';
import { tunedModel } from '../artifacts/tunedModel.js';
import { type ModelFile, writeModel } from '../onnx/model.js';
import { quantizeModel } from '../quantize/frozenPart.js';
import type { Best } from './runFolder.js';
import { planOf } from './quantizeFrozen.js';
import { FLOAT_MODEL } from '../hub/resolveModel.js';

/** The models that a run ends with, in its folder. */
export class RunModels {
  constructor(
    private readonly source: ModelFile,
    private readonly manifest: Manifest,
    private readonly out: string,
  ) {}

  get path(): string {
    return join(this.out, 'model.onnx');
  }

  /** Where the frozen part ran in whole numbers: the model in float beside the one that was evaluated. */
  get floatPath(): string {
    return join(this.out, FLOAT_MODEL);
  }

  /** Writes the source model with the best parameters, and their thresholds. @throws UserError `write-failed`. */
  async write({ parameters, thresholds }: Best): Promise<void> {
    const { frozen, preprocessing } = this.manifest;
    const tuned = tunedModel(this.source.proto, { ...this.manifest, thresholds }, parameters);
    if (!frozen) {
      await writeModel(tuned, this.path);
      return;
    }
    const { height, width } = preprocessing;
    await writeModel(tuned, this.floatPath);
    await writeModel(quantizeModel(tuned, planOf(frozen), [height, width]), this.path);
  }
}
