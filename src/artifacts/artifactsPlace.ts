import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { isSameFile, sha256 } from '../files.js';
import { refuseForeign } from '../foreignFiles.js';
import { filesOf, type ModelFile } from '../onnx/model.js';
import { FILES } from './artifactFiles.js';
import { readManifest } from './load.js';
import type { Manifest } from './manifest.js';
import { ON_DEVICE_FILES } from './onDeviceFiles.js';

/**
 * Looks whether artifacts may be written into `folder`: those that lie there are replaced, nothing else.
 * @throws UserError `foreign-files` for other files by their names, and for a checkpoint that was trained in its place; `bad-arguments`
 * when the model is among what would be replaced.
 */
export function checkArtifactsPlace(folder: string, target: Manifest['target'], model: ModelFile): void {
  const names = Object.values<string>(target === 'ort-tl' ? FILES : ON_DEVICE_FILES);
  const ours = artifactsIn(folder);
  refuseForeign(
    folder,
    names.filter((name) => !ours.includes(name)),
    'an artifact',
  );
  for (const file of filesOf(model))
    if (names.some((name) => isSameFile(join(folder, name), file)))
      throw new UserError('bad-arguments', `${file} is read here, and would be replaced; name another folder (‹out›)`);
}

/** Files of whole artifacts, as they were written. */
function artifactsIn(folder: string): string[] {
  let manifest: Manifest;
  try {
    manifest = readManifest(folder);
  } catch (thrown) {
    if (thrown instanceof UserError) return [];
    throw thrown;
  }
  const { files, target } = manifest;
  if (target === 'ort-tl') return Object.values(FILES);
  // ONNX Runtime's training saves wherever it is told, in the place of the checkpoint that it began with too.
  const { checkpoint } = ON_DEVICE_FILES;
  const isUntouched = hashOf(join(folder, checkpoint)) === files[checkpoint];
  return Object.values<string>(ON_DEVICE_FILES).filter((name) => name !== checkpoint || isUntouched);
}

function hashOf(path: string): string | undefined {
  try {
    return sha256(readFileSync(path));
  } catch {
    return undefined;
  }
}
