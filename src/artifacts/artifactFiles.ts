import { join } from 'node:path';
import { sha256, writeFilesAtomically } from '../files.js';
import { encodeParts } from '../onnx/encodeParts.js';
import { encodeSafetensors } from '../onnx/safetensors.js';
import type { Compiled } from './compile.js';
import type { Manifest } from './manifest.js';

/** The files of artifacts, in their folder. */
export const FILES = {
  frozen: 'frozen.onnx',
  quantized: 'frozen_int8.onnx',
  training: 'training_model.onnx',
  evaluation: 'eval_model.onnx',
  checkpoint: 'checkpoint.safetensors',
  manifest: 'manifest.json',
} as const;

/**
 * Writes artifacts into `folder`, all of them or none; the manifest last, so that a folder with a manifest is whole.
 * @param there the hashes of files that lie there already: those that would be the same are left as they are.
 * @throws UserError `write-failed`.
 */
export async function writeArtifacts(
  compiled: Compiled,
  folder: string,
  there: Manifest['files'] = {},
): Promise<Manifest> {
  const models = [
    [FILES.frozen, compiled.frozen],
    [FILES.quantized, compiled.quantized],
    [FILES.training, compiled.training],
    [FILES.evaluation, compiled.evaluation],
  ] as const;
  const contents: [string, Uint8Array[]][] = models.flatMap(([name, proto]) =>
    proto ? [[name, encodeParts(proto)] satisfies [string, Uint8Array[]]] : [],
  );
  contents.push([FILES.checkpoint, encodeSafetensors(compiled.state)]);
  const files = Object.fromEntries(contents.map(([name, parts]) => [name, sha256(...parts)]));
  const manifest = { ...compiled.manifest, files };
  const changed = contents.filter(([name]) => files[name] !== there[name]);
  const all = [...changed, [FILES.manifest, [`${JSON.stringify(manifest, null, 2)}\n`]] as const];
  await writeFilesAtomically(all.map(([name, parts]) => ({ path: join(folder, name), parts })));
  return manifest;
}
