import { z } from 'zod';
import { manifestSchema } from '../artifacts/manifest.js';
import { TUNED_FIELDS } from '../artifacts/tunedModel.js';
import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import type { ModelFile } from '../onnx/model.js';
import { encodeSafetensors, readSafetensors } from '../onnx/safetensors.js';
import { checkBase, encodeTuned, type Learned } from './run.js';

/**
 * A delta is a safetensors file: the tensors that a training has changed, named as the source model's initializers, and in its
 * metadata what else becomes of that model. `labels` and `preprocessing` are there for other readers; `change` has them too.
 */
const FORMAT = 'ort-tl delta 1';
const changeSchema = manifestSchema.pick(TUNED_FIELDS);
const metadataSchema = z.object({
  format: z.string(),
  base_sha256: z.string(),
  tuned_sha256: z.string(),
  change: z.string(),
});

export interface Delta extends Learned {
  /** Of the tuned model's file. */
  readonly tunedSha256: string;
}

/**
 * The parts of a delta file that makes of `source` what {@link encodeTuned} does.
 * @throws UserError `wrong-base` when `source` is not the model that the training began with.
 */
export function encodeDelta(source: ModelFile, learned: Learned): Uint8Array[] {
  const change = changeSchema.parse(learned.manifest);
  const tensors = new Map(
    [...change.parameters, ...change.statistics].flatMap(({ name }) => {
      const value = learned.parameters.get(name);
      return value ? [[name, value] as const] : [];
    }),
  );
  return encodeSafetensors(tensors, {
    format: FORMAT,
    base_sha256: change.source.sha256,
    tuned_sha256: sha256(encodeTuned(source, learned)),
    labels: JSON.stringify(change.classes),
    preprocessing: JSON.stringify(change.preprocessing),
    change: JSON.stringify(change),
  });
}

/** @throws UserError `bad-checkpoint` when the file is missing or cut off, `bad-delta` when it is no delta, or of another version. */
export function readDelta(path: string): Delta {
  const refuse = (reason: string) => new UserError('bad-delta', `${path} is no delta that ort-tl applies: ${reason}`);
  const { tensors, metadata } = readSafetensors(path);
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) throw refuse('it does not say what it changes; make one with ort-tl export --delta');
  const { format, base_sha256: base, tuned_sha256: tunedSha256, change: text } = parsed.data;
  if (format !== FORMAT)
    throw refuse(`it is a "${format}", and this version knows "${FORMAT}"; use the version that made it`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuse('what it changes is no JSON; get it anew');
  }
  const change = changeSchema.safeParse(json);
  if (!change.success)
    throw refuse(`what it changes is damaged at ${change.error.issues[0]?.path.join('.') ?? ''}; get it anew`);
  const manifest = change.data;
  if (manifest.source.sha256 !== base) throw refuse('it names two bases; get it anew');
  const missing = [...manifest.parameters, ...manifest.statistics].find(({ name }) => !tensors.has(name));
  if (missing) throw refuse(`it lacks "${missing.name}"; get it anew`);
  return { manifest, parameters: tensors, tunedSha256 };
}

/**
 * The bytes of the tuned model, from the base and a delta: those of the file that the delta was made for.
 * @throws UserError `wrong-base` for another base, `bad-delta` when the result is not that file, bit by bit.
 */
export function applyDelta(base: ModelFile, delta: Delta): Uint8Array {
  checkBase(base, delta.manifest);
  const bytes = encodeTuned(base, delta);
  const got = sha256(bytes);
  if (got === delta.tunedSha256) return bytes;
  throw new UserError(
    'bad-delta',
    `with this delta ${base.path} becomes a model with SHA-256 ${got.slice(0, 12)}…, not ${delta.tunedSha256.slice(0, 12)}… as it was exported: the delta, or a file of external data beside the base, was changed; get it anew`,
  );
}
