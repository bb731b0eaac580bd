import type { Manifest } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { nonFiniteIn } from '../finite.js';
import { sha256 } from '../files.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { elementCount, type Tensor } from '../onnx/tensor.js';

/** What a device is given, and gives back: trained parameters, and running averages of BatchNormalizations that train, by name. */
export type SharedParameters = ReadonlyMap<string, Tensor>;

type Shared = Pick<Manifest, 'parameters' | 'statistics'>;

/** Names and shapes of what a device is given, in its order. */
const sharedIn = ({ parameters, statistics }: Shared) =>
  [...parameters, ...statistics].map(({ name, shape }) => ({ name, shape }));

/** The bytes of what a device is given, as float32. */
export const sharedBytes = (manifest: Shared): number =>
  sharedIn(manifest).reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);

/**
 * What has to be the same on all devices that train together: 16 hexadecimal digits of the model, the policy, the classes in their order, the
 * task, how photos become pixels, and the names and shapes of the parameters.
 */
export function federationFingerprint(manifest: Manifest): string {
  const { source, policy, classes, task, preprocessing } = manifest;
  const { width, height, resize, cropShare = 1, mean, std } = preprocessing;
  const pixels = [width, height, resize, cropShare, mean, std];
  const shared = sharedIn(manifest).map(({ name, shape }) => [name, shape]);
  const agreed = [source.sha256, policy, classes, task, pixels, shared];
  return sha256(Buffer.from(JSON.stringify(agreed))).slice(0, 16);
}

/** Reads parameters of a safetensors file. @throws UserError `bad-parameters`, `not-finite`. */
export function readParameters(path: string, manifest: Shared): SharedParameters {
  const { tensors } = readSafetensors(path, (reason) => refuse(`${path} is not a whole safetensors file: ${reason}`));
  return checkedParameters(tensors, manifest, path);
}

/**
 * Parameters that fit the artifacts, in their order.
 * @param from where they come from, for messages.
 * @throws UserError `bad-parameters` that names the first that does not fit, `not-finite`.
 */
export function checkedParameters(given: SharedParameters, manifest: Shared, from: string): SharedParameters {
  const expected = sharedIn(manifest);
  const checked = new Map<string, Tensor>();
  for (const { name, shape } of expected) {
    const found = given.get(name);
    if (!found) throw refuse(`${from} lacks the parameter "${name}"`);
    if (found.dtype !== 'float32' || shape.join() !== found.dims.join())
      throw refuse(
        `"${name}" of ${from} is ${found.dtype} [${found.dims.join(', ')}], and the artifacts have float32 [${shape.join(', ')}]`,
      );
    checked.set(name, found);
  }
  const other = [...given.keys()].find((name) => !checked.has(name));
  if (other !== undefined) throw refuse(`${from} has "${other}", which is no parameter that the artifacts train`);
  const damaged = nonFiniteIn(checked);
  if (damaged !== undefined)
    throw new UserError(
      'not-finite',
      `"${damaged}" of ${from} has values that are no numbers (NaN, or infinite); leave out whoever gave it`,
    );
  return checked;
}

const refuse = (what: string) =>
  new UserError('bad-parameters', `${what}; give what ort-tl fit has written with the same artifacts`);
