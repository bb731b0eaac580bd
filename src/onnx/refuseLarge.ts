import { UserError } from '../errors.js';
import type { ModelProto } from './onnx_pb.js';
import { bitsPerElement, elementCount } from './tensor.js';
import { tensorsOf } from './tensorsOf.js';

/** Protocol buffers, and so the models that ort-tl writes, hold less than 2 GiB. */
const MOST_BYTES = 2 ** 31 - 2 ** 24;

/** @throws UserError `large-model` for one whose weights are more than `most` bytes: those that are made of it would be too large to write. */
export function refuseLarge(model: ModelProto, path: string, most = MOST_BYTES): void {
  const bytes = tensorsOf(model).reduce(
    (sum, { dims, dataType }) => sum + (elementCount(dims.map(Number)) * (bitsPerElement(dataType) ?? 0)) / 8,
    0,
  );
  if (bytes > most)
    throw new UserError(
      'large-model',
      `the weights of ${path} take ${(bytes / 2 ** 30).toFixed(1)} GiB, and ort-tl reads and writes models of less than ${(most / 2 ** 30).toFixed(1)} GiB; take a smaller network of its kind`,
    );
}
