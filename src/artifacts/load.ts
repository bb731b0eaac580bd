import { join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { MOST_BYTES, readRegularFileSync, sha256 } from '../files.js';
import { giveBack } from '../giveBack.js';
import { machineErrorOf } from '../machineError.js';
import { readSafetensors } from '../onnx/safetensors.js';
import type { Tensor } from '../onnx/tensor.js';
import { FILES } from './artifactFiles.js';
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
  const manifest = readManifest(folder);
  if (manifest.target !== 'ort-tl') throw bad(folder, `they are for ${manifest.target}`);
  for (const [name, hash] of Object.entries(manifest.files)) {
    const bytes = read(folder, name);
    const isWhole = sha256(bytes) === hash;
    // The frozen part is as large as the model, and whoever runs it reads it again.
    if (bytes.byteLength === bytes.buffer.byteLength) giveBack([bytes.buffer]);
    if (!isWhole) throw bad(folder, `${name} is not the file that was compiled`);
  }
  const { tensors } = readSafetensors(join(folder, FILES.checkpoint));
  for (const name of stateNames(manifest)) if (!tensors.has(name)) throw bad(folder, `the checkpoint lacks "${name}"`);
  return { folder, manifest, state: tensors };
}

/**
 * Reads what the artifacts in a folder are, without a look at their other files.
 * @throws UserError `bad-artifacts` when there is no manifest, or it is damaged.
 */
export function readManifest(folder: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(read(folder, FILES.manifest)));
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    throw machineErrorOf(thrown) ?? bad(folder, `${FILES.manifest} is no JSON (${messageOf(thrown)})`);
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw bad(folder, `${FILES.manifest}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`);
}

function bad(folder: string, reason: string): UserError {
  return new UserError(
    'bad-artifacts',
    `${folder} does not hold whole training artifacts: ${reason}; compile them again`,
  );
}

function read(folder: string, name: string): Uint8Array {
  try {
    return readRegularFileSync(join(folder, name), MOST_BYTES.file);
  } catch (thrown) {
    throw machineErrorOf(thrown) ?? bad(folder, `${name}: ${messageOf(thrown)}`);
  }
}
