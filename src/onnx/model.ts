import { create, fromBinary } from '@bufbuild/protobuf';
import { readFileSync, statSync } from 'node:fs';
import { messageOf, UserError } from '../errors.js';
import { fileErrorCode, sha256, writeFileAtomically } from '../files.js';
import { joined } from '../joined.js';
import { encodeParts } from './encodeParts.js';
import { inlineExternalData } from './externalData.js';
import { type ModelProto, ModelProtoSchema, StringStringEntryProtoSchema } from './onnx_pb.js';
import { otherFormat } from './otherFormat.js';
import { refuseLarge } from './refuseLarge.js';

/** The oldest operator set that ort-tl reads. */
const OLDEST_OPSET = 7;
/** Protocol buffers hold less than 2 GiB; a larger model keeps its tensors in a file beside it. */
const LARGEST_FILE_BYTES = 2 ** 31 - 1;

export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
  readonly proto: ModelProto;
  /** Files beside it that it keeps tensors in, if it does. */
  readonly externalFiles?: readonly string[];
  /** Lets go of `proto`, which is read again when it is next asked for. */
  forget?(): void;
}

/** A model's file, of which what was read can be let go. */
class ReadModel implements ModelFile {
  private read: ModelProto | undefined;

  constructor(
    readonly path: string,
    readonly sha256: string,
    proto: ModelProto,
  ) {
    this.read = proto;
  }

  /** @throws UserError `bad-arguments` where the file has changed since, and as {@link readModel} does. */
  get proto(): ModelProto {
    return (this.read ??= this.readAgain());
  }

  forget(): void {
    this.read = undefined;
  }

  private readAgain(): ModelProto {
    const { proto, sha256 } = readModel(this.path);
    if (sha256 === this.sha256) return proto;
    throw new UserError('bad-arguments', `${this.path} has changed since it was read; put back what it was`);
  }
}

/**
 * Reads an ONNX file, with the tensors that it stores outside itself, and checks that it is one.
 * @param trains whether it is to be trained: then one that is too large is refused before its tensors are read.
 * @throws UserError `no-such-file`, `not-onnx`, `unsupported-opset`, `external-data`, `large-model`.
 */
export function readModel(path: string, { trains = false }: { readonly trains?: boolean } = {}): ModelFile {
  const bytes = readBytes(path);
  const proto = decodeModel(bytes, path);
  if (trains) refuseLarge(proto, path);
  const externalFiles = inlineExternalData(proto, path);
  // Tensors in other files might have changed since, which no hash would tell.
  if (externalFiles.length > 0) return { path, sha256: sha256(bytes), proto, externalFiles };
  return new ReadModel(path, sha256(bytes), proto);
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
  const refuse = (reason: string) => {
    const other = otherFormat(bytes);
    return new UserError(
      'not-onnx',
      other
        ? `${path} is ${other.what}, not an ONNX model; ${other.advice}`
        : `${path} is not a whole ONNX model: ${reason}; export or download it again`,
    );
  };
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
  if (proto.graph.sparseInitializer.length > 0) {
    throw new UserError(
      'unsupported-dtype',
      `${path} has sparse initializers, which ort-tl does not read; export it with dense weights`,
    );
  }
  const opset = opsetOf(proto);
  // What a model of nothing but its own functions imports, they say.
  if (opset < OLDEST_OPSET && !(opset === 0 && proto.functions.length > 0)) {
    throw new UserError(
      'unsupported-opset',
      `${path} uses operator set ${opset}; ort-tl reads ${OLDEST_OPSET} and later, so export it anew, or convert it (onnx.version_converter)`,
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
  return joined(encodeParts(proto));
}

/** Writes a model atomically, without a copy of its weights, and gives the hash of its bytes. @throws UserError `write-failed`. */
export async function writeModel(proto: ModelProto, path: string): Promise<string> {
  const parts = encodeParts(proto);
  await writeFileAtomically(path, ...parts);
  return sha256(...parts);
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
