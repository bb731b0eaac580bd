import { messageOf, UserError } from '../errors.js';
import { MOST_BYTES, readRegularFileSync, sha256, writeFileAtomically } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { bytesOf, bytesPerElement, type DType, elementCount, type Tensor, tensorOfBytes } from './tensor.js';

/** Names of element types in the safetensors format (https://huggingface.co/docs/safetensors). */
const formatNames: Partial<Record<DType, string>> = {
  float32: 'F32',
  float16: 'F16',
  int64: 'I64',
  int32: 'I32',
  uint8: 'U8',
  bool: 'BOOL',
};
const dtypes = new Map(Object.entries(formatNames).map(([dtype, name]) => [name, dtype as DType]));

export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Writes named tensors as a safetensors file, atomically, and gives its SHA-256. @throws UserError `write-failed`. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Record<string, string> = {},
): Promise<string> {
  const parts = encodeSafetensors(tensors, metadata);
  await writeFileAtomically(path, ...parts);
  return sha256(...parts);
}

/** The parts of a safetensors file, one after another. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Record<string, string> = {},
): Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, t] of tensors) {
    const dtype = formatNames[t.dtype];
    if (!dtype) throw new Error(`safetensors files of ort-tl hold no ${t.dtype}`);
    header[name] = { dtype, shape: t.dims, data_offsets: [offset, (offset += t.data.byteLength)] };
  }
  const json = JSON.stringify(header);
  const length = Buffer.byteLength(json);
  const padded = json + ' '.repeat((8 - (length % 8)) % 8);
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(Buffer.byteLength(padded)), true);
  return [prefix, Buffer.from(padded), ...[...tensors.values()].map(bytesOf)];
}

/**
 * Reads a safetensors file. @throws what `refuse` makes of the reason, by default UserError `bad-checkpoint`, when it is missing, cut
 * off or of another format.
 */
export function readSafetensors(
  path: string,
  refuse = (reason: string) =>
    new UserError('bad-checkpoint', `${path} is not a whole safetensors checkpoint: ${reason}`),
): Checkpoint {
  let bytes: Uint8Array;
  try {
    bytes = readRegularFileSync(path, MOST_BYTES.file);
  } catch (thrown) {
    throw machineErrorOf(thrown) ?? refuse(messageOf(thrown));
  }
  // A header is JSON, behind its length in 8 bytes.
  if (bytes[8] !== '{'.charCodeAt(0)) throw refuse('it does not begin as a safetensors file does');
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (8 + headerLength > bytes.byteLength) throw refuse('its header is cut off');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)));
  } catch (thrown) {
    throw refuse(messageOf(thrown));
  }
  if (typeof header !== 'object' || header === null) throw refuse('its header is no object');
  const body = bytes.subarray(8 + headerLength);
  const tensors = new Map<string, Tensor>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header as Record<string, unknown>)) {
    if (name === '__metadata__') {
      metadata = Object.fromEntries(Object.entries(entry ?? {}).map(([key, value]) => [key, String(value)]));
      continue;
    }
    const { dtype: dtypeText, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
    const dtype = dtypes.get(String(dtypeText));
    if (!dtype || !isNumbers(shape) || !isNumbers(offsets))
      throw refuse(`tensor "${name}" is not described as the format says`);
    const [begin = -1, end = -1] = offsets;
    if (begin < 0 || end > body.byteLength || end - begin !== elementCount(shape) * bytesPerElement(dtype)) {
      throw refuse(`tensor "${name}" does not fit its shape or the file`);
    }
    tensors.set(name, tensorOfBytes(dtype, shape, body.subarray(begin, end)));
  }
  return { tensors, metadata };
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item));
}
