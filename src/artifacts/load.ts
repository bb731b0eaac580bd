import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { sha256 } from '../files.js';
import { readSafetensors } from '../onnx/safetensors.js';
import type { Tensor } from '../onnx/tensor.js';
import { FILES } from './compile.js';
import { type Manifest, manifestSchema, stateNames } from './manifest.js';

export interface Artifacts {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly state: ReadonlyMap<string, Tensor>;
}

/**
 * Loads artifacts and verifies every file against the manifest.
 * @throws UserError `bad-artifacts` when a file is missing, damaged or does not belong.
 */
export function loadArtifacts(folder: string): Artifacts {
  const refuse = (reason: string) =>
    new UserError('bad-artifacts', `${folder} does not hold whole training artifacts: ${reason}; compile them again`);
  const read = (name: string): Uint8Array => {
    try {
      return readFileSync(join(folder, name));
    } catch (thrown) {
      throw refuse(messageOf(thrown));
    }
  };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(read(FILES.manifest)));
  } catch (thrown) {
    throw thrown instanceof UserError ? thrown : refuse(`${FILES.manifest} is no JSON (${messageOf(thrown)})`);
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`${FILES.manifest}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`);
  }
  const manifest = parsed.data;
  for (const [name, hash] of Object.entries(manifest.files)) {
    if (sha256(read(name)) !== hash) throw refuse(`${name} is not the file that was compiled`);
  }
  const { tensors } = readSafetensors(join(folder, FILES.checkpoint));
  for (const name of stateNames(manifest)) if (!tensors.has(name)) throw refuse(`the checkpoint lacks "${name}"`);
  return { folder, manifest, state: tensors };
}
