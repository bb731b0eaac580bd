import { join } from 'node:path';
import { UserError } from '../errors.js';
import { fileReason, MOST_BYTES, readRegularFileSync, sha256, writeFilesAtomically } from '../files.js';
import { encodeModel } from '../onnx/model.js';
import { elementCount, type Tensor, tensorOfBytes } from '../onnx/tensor.js';
import {
  decodeTrainingCheckpoint,
  encodeTrainingCheckpoint,
  isTrainingCheckpoint,
} from '../onnx/trainingCheckpoint.js';
import type { Manifest } from './manifest.js';
import type { OnDeviceArtifacts } from './onDevice.js';
import { onDeviceReadme } from './onDeviceReadme.js';

export const ON_DEVICE_FILES = {
  training: 'training_model.onnx',
  evaluation: 'eval_model.onnx',
  optimizer: 'optimizer_model.onnx',
  checkpoint: 'checkpoint',
  manifest: 'manifest.json',
  readme: 'README.md',
} as const;

/**
 * Writes the artifacts into `folder`, all of them or none, with a page that says how they are fed.
 * @throws UserError `write-failed`.
 */
export async function writeOnDeviceArtifacts(compiled: OnDeviceArtifacts, folder: string): Promise<Manifest> {
  const files = ON_DEVICE_FILES;
  const contents = new Map([
    [files.training, encodeModel(compiled.training)],
    [files.evaluation, encodeModel(compiled.evaluation)],
    [files.optimizer, encodeModel(compiled.optimizer)],
    [files.checkpoint, encodeTrainingCheckpoint(compiled.checkpoint)],
  ]);
  const hashes = Object.fromEntries([...contents].map(([name, bytes]) => [name, sha256(bytes)]));
  const manifest = { ...compiled.manifest, files: hashes };
  const texts = [
    { path: join(folder, files.readme), parts: [onDeviceReadme(manifest)] },
    { path: join(folder, files.manifest), parts: [`${JSON.stringify(manifest, null, 2)}\n`] },
  ];
  await writeFilesAtomically([
    ...[...contents].map(([name, bytes]) => ({ path: join(folder, name), parts: [bytes] })),
    ...texts,
  ]);
  return manifest;
}

/**
 * Reads the trained parameters that on-device training has saved, by the names of the manifest that it began with: a checkpoint, or the
 * bytes of what `getContiguousParameters(true)` of onnxruntime-web gives, which saves no checkpoints.
 * @throws UserError `bad-checkpoint` when it is damaged or of other artifacts.
 */
export function readOnDeviceCheckpoint(path: string, manifest: Manifest): Map<string, Tensor> {
  let bytes: Uint8Array;
  try {
    bytes = readRegularFileSync(path, MOST_BYTES.file);
  } catch (thrown) {
    throw new UserError('bad-checkpoint', `cannot read ${path}: ${fileReason(thrown)}; name a checkpoint file`);
  }
  const count = manifest.parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (!isTrainingCheckpoint(bytes) && bytes.byteLength === 4 * count) return partsOf(bytes, manifest);
  const { trainable } = decodeTrainingCheckpoint(bytes, path);
  return new Map(
    manifest.parameters.map(({ name, shape }) => {
      const value = trainable.get(name);
      if (value?.dtype !== 'float32' || value.dims.join() !== shape.join())
        throw new UserError(
          'bad-checkpoint',
          `${path} holds no "${name}" of shape [${shape.join(', ')}], so it was trained with other artifacts; choose those that it began with`,
        );
      return [name, value];
    }),
  );
}

/** Parameters one after another, in the training graph's order. */
function partsOf(bytes: Uint8Array, { parameters }: Manifest): Map<string, Tensor> {
  let start = 0;
  return new Map(
    parameters.map(({ name, shape }) => {
      const part = bytes.subarray(start, (start += 4 * elementCount(shape)));
      return [name, tensorOfBytes('float32', shape, part)];
    }),
  );
}
