import { statSync } from 'node:fs';
import { z } from 'zod';
import { manifestSchema } from '../artifacts/manifest.js';
import { TUNED_FIELDS } from '../artifacts/tunedModel.js';
import { UserError } from '../errors.js';
import { sha256 } from '../files.js';
import { type ModelFile, readModel } from '../onnx/model.js';
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
  /** SHA-256 of the tuned model's file. */
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

/** @throws UserError `no-such-file` when there is none, `bad-delta` when it is cut off, no delta, or of another version. */
export function readDelta(path: string): Delta {
  const refuse = (reason: string) => new UserError('bad-delta', `${path} is no delta that ort-tl applies: ${reason}`);
  const { tensors, metadata } = readSafetensors(path, (reason) => noSafetensors(path, reason));
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

/** The error for a file that cannot be read as safetensors: what it is instead, as far as that is seen. */
function noSafetensors(path: string, reason: string): UserError {
  const wanted = 'what ort-tl export --delta wrote (--delta)';
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return new UserError('no-such-file', `no delta at ${path}; name ${wanted}`);
  if (!found.isFile()) return new UserError('no-such-file', `${path} is no file; name ${wanted}`);
  return new UserError(
    'bad-delta',
    isModel(path)
      ? `${path} is a whole ONNX model, no delta; use it as it is, or name ${wanted}`
      : `${path} is no delta, or a damaged one: ${reason}; get it anew, or name ${wanted}`,
  );
}

function isModel(path: string): boolean {
  try {
    return readModel(path).proto.graph !== undefined;
  } catch {
    return false;
  }
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
