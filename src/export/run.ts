import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FILES } from '../artifacts/artifactFiles.js';
import { readManifest } from '../artifacts/load.js';
import { USUAL_THRESHOLD } from '../artifacts/task.js';
import { type TunedManifest, tunedModel } from '../artifacts/tunedModel.js';
import { UserError } from '../errors.js';
import { encodeModel, type ModelFile } from '../onnx/model.js';
import { readSafetensors } from '../onnx/safetensors.js';
import type { Tensor } from '../onnx/tensor.js';
import { settleRun } from '../train/runFiles.js';
import { readThresholds } from '../train/thresholds.js';

/** What a training has learned, and what it began with. */
export interface Learned {
  readonly manifest: TunedManifest;
  /** The trained parameters and running averages of the best epoch, by the source model's names. */
  readonly parameters: ReadonlyMap<string, Tensor>;
}

/**
 * Reads what the best epoch of a run has learned.
 * @throws UserError `no-checkpoint` for a folder that is no run or has finished no epoch, `bad-checkpoint`, `bad-artifacts`.
 */
export function readLearned(folder: string): Learned {
  settleRun(folder);
  const checkpoint = join(folder, 'best', FILES.checkpoint);
  if (!existsSync(checkpoint))
    throw new UserError(
      'no-checkpoint',
      `${folder} holds no run with a finished epoch: there is no ${join('best', FILES.checkpoint)} in it; name the folder that ort-tl train wrote`,
    );
  const manifest = readManifest(join(folder, 'artifacts'));
  const { tensors, metadata } = readSafetensors(checkpoint);
  const missing = [...manifest.parameters, ...manifest.statistics].find(({ name }) => !tensors.has(name));
  if (missing || metadata['source'] !== manifest.source.sha256)
    throw new UserError(
      'bad-checkpoint',
      `${checkpoint} does not fit ${join(folder, 'artifacts')}: ${missing ? `it lacks "${missing.name}"` : 'it is of another source model'}; train anew`,
    );
  return { manifest: { ...manifest, thresholds: readThresholds(metadata) }, parameters: tensors };
}

/** From which probability on a photo has each label that a run has learned; undefined where it has one class. */
export const thresholdsOfRun = ({ manifest: { task, classes, thresholds } }: Learned): readonly number[] | undefined =>
  task === 'labels' ? (thresholds ?? classes.map(() => USUAL_THRESHOLD)) : undefined;

/**
 * The bytes of `source` with what was learned in place of its own parameters, float32, as the training itself exports it.
 * @throws UserError `wrong-base` when `source` is not the model that the training began with.
 */
export function encodeTuned(source: ModelFile, learned: Learned): Uint8Array {
  checkBase(source, learned.manifest);
  return encodeModel(tunedModel(source.proto, learned.manifest, learned.parameters));
}

/** @throws UserError `wrong-base` when `source` is not the model that was trained. */
export function checkBase(source: ModelFile, { source: base }: Pick<TunedManifest, 'source'>): void {
  if (source.sha256 === base.sha256) return;
  throw new UserError(
    'wrong-base',
    `${source.path} is not the model that was trained: that is ${base.file} with SHA-256 ${base.sha256.slice(0, 12)}…, and this has ${source.sha256.slice(0, 12)}…; name that one`,
  );
}
