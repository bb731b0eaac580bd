import { create } from '@bufbuild/protobuf';
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import { type ModelProto, type TensorProto, TensorProtoSchema } from './onnx_pb.js';
import { bitsPerElement } from './tensor.js';
import { replaceTensors, tensorsOf } from './tensorsOf.js';

/** `TensorProto.DataLocation` of what lies in another file. */
const EXTERNAL = 1;
/** The most that is read at once: the system takes no length of 2 GiB. */
const PIECE_BYTES = 2 ** 30;

/** The files in which a model keeps tensors, as it names them. */
export function locationsOf(model: ModelProto): string[] {
  const locations = tensorsOf(model).flatMap(({ dataLocation, externalData }) =>
    dataLocation === EXTERNAL ? externalData.flatMap(({ key, value }) => (key === 'location' ? value : [])) : [],
  );
  return [...new Set(locations)];
}

/** Replaces each tensor that points to another file by its content. Gives those files. @throws UserError `external-data`. */
export function inlineExternalData(model: ModelProto, modelPath: string): string[] {
  const files = locationsOf(model).map((location) => resolve(dirname(modelPath), location));
  if (tensorsOf(model).some(({ dataLocation }) => dataLocation === EXTERNAL))
    replaceTensors(model, (tensor) => (tensor.dataLocation === EXTERNAL ? inlined(tensor, modelPath) : tensor));
  return files;
}

function inlined(tensor: TensorProto, modelPath: string): TensorProto {
  const { name, dims, dataType } = tensor;
  return create(TensorProtoSchema, { name, dims, dataType, rawData: readExternal(tensor, modelPath) });
}

/** The folders in which tensors of a model may really lie: its own, that of the file that its link leads to, the blobs of a snapshot. */
function foldersOf(modelPath: string): string[] {
  const folder = realpathSync(dirname(modelPath));
  const [, repository] = /^(.*[\\/]models--[^\\/]+)[\\/]snapshots[\\/][0-9a-f]{40}(?:[\\/]|$)/.exec(folder) ?? [];
  return [
    folder,
    // The cache of the Hugging Face hub has links to what it calls blobs.
    ...(repository === undefined ? [] : [resolve(repository, 'blobs')]),
    dirname(realpathSync(modelPath)),
  ];
}

/** Reads a tensor's bytes from the file that it names, which must lie in the model's folder. */
function readExternal(proto: TensorProto, modelPath: string): Uint8Array {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  const refuse = (reason: string) =>
    new UserError('external-data', `tensor "${proto.name}" of ${modelPath} is stored in "${location}", ${reason}`);
  const folder = realpathSync(dirname(modelPath));
  const path = resolve(folder, location);
  if (!path.startsWith(folder + sep)) throw refuse("which lies outside the model's folder; ort-tl does not follow it");
  try {
    const real = realpathSync(path);
    if (!foldersOf(modelPath).some((each) => real.startsWith(each + sep)))
      throw refuse("a link out of the model's folder; ort-tl does not follow it");
    const stat = statSync(path);
    if (!stat.isFile()) throw refuse('which is no regular file');
    const { size } = stat;
    const offset = Number(entries.get('offset') ?? 0);
    const length = Number(entries.get('length') ?? size - offset);
    if (!(offset >= 0 && length >= 0 && offset + length <= size))
      throw refuse(`which ends at byte ${size}, before the tensor does`);
    const bits = bitsPerElement(proto.dataType);
    const byteLength = bits && Math.ceil((proto.dims.reduce((count, dim) => count * Number(dim), 1) * bits) / 8);
    if (byteLength !== undefined && length !== byteLength)
      throw refuse(`of which it takes ${length} bytes, but its shape and type ask for ${byteLength}`);
    return readBytes(path, offset, length);
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    throw machineErrorOf(thrown) ?? refuse(`which cannot be read (${messageOf(thrown)}); put it beside the model`);
  }
}

function readBytes(path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = openSync(path, 'r');
  try {
    for (let done = 0; done < length;) {
      const read = readSync(file, bytes, done, Math.min(PIECE_BYTES, length - done), offset + done);
      if (read === 0) throw new Error('it became shorter meanwhile');
      done += read;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}
