import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { closeSync, openSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import { fileErrorCode, sha256, writeFileAtomically } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { type ModelProto, ModelProtoSchema, StringStringEntryProtoSchema, type TensorProto } from './onnx_pb.js';
import { protoOfTensor, tensorOfProto } from './tensor.js';

/** The oldest operator set that ort-tl reads. */
const OLDEST_OPSET = 9;
/** Protocol buffers hold less than 2 GiB; a larger model keeps its tensors in a file beside it. */
const LARGEST_FILE_BYTES = 2 ** 31 - 1;

export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
  readonly proto: ModelProto;
  /** Files beside it that it keeps tensors in, if it does. */
  readonly externalFiles?: readonly string[];
}

/**
 * Reads an ONNX file, with the tensors that it stores outside itself, and checks that it is one.
 * @throws UserError `no-such-file`, `not-onnx`, `unsupported-opset`, `external-data`.
 */
export function readModel(path: string): ModelFile {
  const bytes = readBytes(path);
  const proto = decodeModel(bytes, path);
  const externalFiles = inlineExternalData(proto, path);
  return { path, sha256: sha256(bytes), proto, ...(externalFiles.length > 0 ? { externalFiles } : {}) };
}

function readBytes(path: string): Uint8Array {
  try {
    const stat = statSync(path);
    // A pipe or a device would be read for ever.
    if (!stat.isFile() && !stat.isDirectory())
      throw new UserError('no-such-file', `${path} is no regular file; expected an ONNX file`);
    const { size } = stat;
    if (size > LARGEST_FILE_BYTES) {
      throw new UserError(
        'not-onnx',
        `${path} holds ${size} bytes, but an ONNX file is smaller than 2 GiB; save its tensors as external data`,
      );
    }
    return readFileSync(path);
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    const code = fileErrorCode(thrown);
    if (code === 'ENOENT') throw new UserError('no-such-file', `no model at ${path}; check the path`);
    if (code === 'EISDIR') throw new UserError('no-such-file', `${path} is a folder; expected an ONNX file`);
    throw new UserError('no-such-file', `cannot read ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/** The files that a model lies in. */
export const filesOf = ({ path, externalFiles = [] }: ModelFile): string[] => [path, ...externalFiles];

/** Decodes the bytes of an ONNX model; `path` is for messages. */
export function decodeModel(bytes: Uint8Array, path: string): ModelProto {
  const refuse = (reason: string) =>
    new UserError('not-onnx', `${path} is not a whole ONNX model: ${reason}; export or download it again`);
  if (bytes.byteLength === 0) throw refuse('it is empty');
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (thrown) {
    throw refuse(`its bytes do not decode (${messageOf(thrown)})`);
  }
  if (!proto.graph || proto.graph.node.length === 0 || proto.opsetImport.length === 0)
    throw refuse('it has no graph of operators');
  if (proto.graph.input.length === 0 || proto.graph.output.length === 0)
    throw refuse('its graph has no inputs or no outputs');
  if (proto.functions.length > 0) {
    throw new UserError(
      'model-functions',
      `${path} defines functions of its own ("${proto.functions[0]?.name ?? ''}"), which ort-tl does not read; export it with functions inlined`,
    );
  }
  if (proto.graph.sparseInitializer.length > 0) {
    throw new UserError(
      'unsupported-dtype',
      `${path} has sparse initializers, which ort-tl does not read; export it with dense weights`,
    );
  }
  const opset = opsetOf(proto);
  if (opset < OLDEST_OPSET) {
    throw new UserError(
      'unsupported-opset',
      `${path} uses operator set ${opset}; ort-tl reads ${OLDEST_OPSET} and later, so export it anew`,
    );
  }
  return proto;
}

/** The version of the standard operator set that a model imports; 0 when it imports none. */
export function opsetOf(proto: ModelProto): number {
  return Number(proto.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0n);
}

/** Encodes a model. */
export function encodeModel(proto: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, proto);
}

/** Writes a model atomically and gives the hash of its bytes. @throws UserError `write-failed`. */
export async function writeModel(proto: ModelProto, path: string): Promise<string> {
  const bytes = encodeModel(proto);
  await writeFileAtomically(path, bytes);
  return sha256(bytes);
}

/** A model's metadata properties. */
export function metadataOf(proto: ModelProto): Map<string, string> {
  return new Map(proto.metadataProps.map(({ key, value }) => [key, value]));
}

/** Sets metadata properties, replacing those of the same key. */
export function setMetadata(proto: ModelProto, entries: ReadonlyMap<string, string>): void {
  const kept = proto.metadataProps.filter(({ key }) => !entries.has(key));
  const added = [...entries].map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
  proto.metadataProps = [...kept, ...added];
}

/** Replaces each initializer that points to another file by its content. Gives those files. */
function inlineExternalData(proto: ModelProto, modelPath: string): string[] {
  const graph = proto.graph;
  if (!graph?.initializer.some(({ dataLocation }) => dataLocation === 1)) return [];
  const locations = graph.initializer.flatMap(({ dataLocation, externalData }) =>
    dataLocation === 1 ? externalData.flatMap(({ key, value }) => (key === 'location' ? value : [])) : [],
  );
  graph.initializer = graph.initializer.map((initializer) =>
    initializer.dataLocation === 1
      ? protoOfTensor(
          initializer.name,
          tensorOfProto(initializer, (t, byteLength) => readExternal(t, byteLength, modelPath)),
        )
      : initializer,
  );
  return [...new Set(locations)].map((location) => resolve(dirname(modelPath), location));
}

/** Where the cache of the Hugging Face hub has what the links of a snapshot lead to. */
function contentsOf(folder: string): string[] {
  const [, repository] = /^(.*[\\/]models--[^\\/]+)[\\/]snapshots[\\/][0-9a-f]{40}(?:[\\/]|$)/.exec(folder) ?? [];
  return repository === undefined ? [] : [resolve(repository, 'blobs')];
}

/** Reads a tensor's `byteLength` bytes from the file that it names, which must lie in the model's folder. */
function readExternal(proto: TensorProto, byteLength: number, modelPath: string): Uint8Array {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  const refuse = (reason: string) =>
    new UserError('external-data', `tensor "${proto.name}" of ${modelPath} is stored in "${location}", ${reason}`);
  const folder = realpathSync(dirname(modelPath));
  const path = resolve(folder, location);
  if (!path.startsWith(folder + sep)) throw refuse("which lies outside the model's folder; ort-tl does not follow it");
  try {
    const real = realpathSync(path);
    if (![folder, ...contentsOf(folder)].some((each) => real.startsWith(each + sep)))
      throw refuse("a link out of the model's folder; ort-tl does not follow it");
    const stat = statSync(path);
    if (!stat.isFile()) throw refuse('which is no regular file');
    const { size } = stat;
    const offset = Number(entries.get('offset') ?? 0);
    const length = Number(entries.get('length') ?? size - offset);
    if (!(offset >= 0 && length >= 0 && offset + length <= size))
      throw refuse(`which ends at byte ${size}, before the tensor does`);
    if (length !== byteLength)
      throw refuse(`of which it takes ${length} bytes, but its shape and type ask for ${byteLength}`);
    const bytes = new Uint8Array(length);
    const file = openSync(path, 'r');
    try {
      readSync(file, bytes, 0, length, offset);
    } finally {
      closeSync(file);
    }
    return bytes;
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    throw machineErrorOf(thrown) ?? refuse(`which cannot be read (${messageOf(thrown)}); put it beside the model`);
  }
}
