import * as flatbuffers from 'flatbuffers';
import { UserError } from '../errors.js';
import {
  bytesOf,
  bytesPerElement,
  dtypeCode,
  dtypeName,
  dtypeOfCode,
  elementCount,
  type Tensor,
  tensorOfBytes,
} from './tensor.js';

/**
 * The checkpoint of ONNX Runtime's on-device training, release 1.19.2: a flatbuffer. Below are its tables and their fields by
 * position (onnxruntime/core/flatbuffers/schema/ort_training_checkpoint.fbs, and ort.fbs for tensors).
 */
const IDENTIFIER = 'ODTC';
const VERSION = 2;
const CHECKPOINT = { version: 0, moduleState: 1, optimizerGroups: 2, propertyBag: 3 } as const;
const MODULE_STATE = { trainable: 0, frozen: 1, isNominal: 2, hasExternalData: 3 } as const;
const TENSOR = { name: 0, docString: 1, dims: 2, dtype: 3, data: 4, stringData: 5, externalDataOffset: 6 } as const;
const fieldsOf = (table: object) => Object.keys(table).length;

/** The parameters of a module of ONNX Runtime's on-device training, by their names. */
export interface TrainingCheckpoint {
  readonly trainable: ReadonlyMap<string, Tensor>;
  readonly frozen: ReadonlyMap<string, Tensor>;
}

/** The bytes of a checkpoint as a training begins with: without an optimizer's state. */
export function encodeTrainingCheckpoint({ trainable, frozen }: TrainingCheckpoint): Uint8Array {
  const bytes = [...trainable.values(), ...frozen.values()].reduce(
    (sum, { data }) => sum + data.byteLength + 256,
    1024,
  );
  // The builder writes from the end of its buffer, and copies all of it where that is too small.
  const builder = new flatbuffers.Builder(bytes);
  const vectorOf = (tensors: ReadonlyMap<string, Tensor>) => {
    const offsets = [...tensors].map(([name, t]) => writeTensor(builder, name, t));
    builder.startVector(4, offsets.length, 4);
    for (const offset of offsets.toReversed()) builder.addOffset(offset);
    return builder.endVector();
  };
  const [trainableAt, frozenAt] = [vectorOf(trainable), vectorOf(frozen)];
  builder.startObject(fieldsOf(MODULE_STATE));
  builder.addFieldOffset(MODULE_STATE.trainable, trainableAt, 0);
  builder.addFieldOffset(MODULE_STATE.frozen, frozenAt, 0);
  const moduleState = builder.endObject();
  builder.startObject(fieldsOf(CHECKPOINT));
  builder.addFieldInt32(CHECKPOINT.version, VERSION, 0);
  builder.addFieldOffset(CHECKPOINT.moduleState, moduleState, 0);
  builder.finish(builder.endObject(), IDENTIFIER);
  return builder.asUint8Array();
}

function writeTensor(builder: flatbuffers.Builder, name: string, t: Tensor): flatbuffers.Offset {
  const data = builder.createByteVector(bytesOf(t));
  builder.startVector(8, t.dims.length, 8);
  for (const dim of t.dims.toReversed()) builder.addInt64(BigInt(dim));
  const dims = builder.endVector();
  const nameAt = builder.createString(name);
  builder.startObject(fieldsOf(TENSOR));
  builder.addFieldOffset(TENSOR.name, nameAt, 0);
  builder.addFieldOffset(TENSOR.dims, dims, 0);
  builder.addFieldInt32(TENSOR.dtype, dtypeCode(t.dtype), 0);
  builder.addFieldOffset(TENSOR.data, data, 0);
  return builder.endObject();
}

/** Whether a file begins as a checkpoint of on-device training does. */
export function isTrainingCheckpoint(bytes: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(bytes.subarray(4, 8)) === IDENTIFIER;
}

/**
 * Reads the parameters of a checkpoint, fresh or trained; `path` is for messages.
 * @throws UserError `bad-checkpoint` when it is cut off, damaged, of another format or version, or holds names without numbers.
 */
export function decodeTrainingCheckpoint(bytes: Uint8Array, path: string): TrainingCheckpoint {
  const refuse = (reason: string) =>
    new UserError(
      'bad-checkpoint',
      `${path} is not a whole checkpoint of ONNX Runtime's on-device training: ${reason}`,
    );
  if (bytes.byteLength < 8) throw refuse(bytes.byteLength === 0 ? 'it is empty' : 'it is cut off');
  if (!isTrainingCheckpoint(bytes)) throw refuse(`it does not say ${IDENTIFIER}, as such files do`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const root = new Table(view, view.getUint32(0, true));
    const version = root.int32(CHECKPOINT.version);
    if (version !== VERSION)
      throw refuse(`it is of version ${version}, and ort-tl reads version ${VERSION}, that of 1.19`);
    const state = root.table(CHECKPOINT.moduleState);
    if (!state) throw refuse('it holds no parameters');
    if (state.bool(MODULE_STATE.isNominal)) throw refuse('it is a nominal one, which holds names and no numbers');
    if (state.bool(MODULE_STATE.hasExternalData)) throw refuse('its numbers are in another file; save it as one');
    const tensors = (field: number) =>
      new Map(state.tables(field).map((table) => [table.text(TENSOR.name), readTensor(table, refuse)]));
    return { trainable: tensors(MODULE_STATE.trainable), frozen: tensors(MODULE_STATE.frozen) };
  } catch (thrown) {
    // What a DataView says of places outside of the file.
    if (thrown instanceof RangeError) throw refuse('it is cut off or damaged');
    throw thrown;
  }
}

function readTensor(table: Table, refuse: (reason: string) => UserError): Tensor {
  const [name, code, dims] = [table.text(TENSOR.name), table.int32(TENSOR.dtype), table.int64s(TENSOR.dims)];
  const dtype = dtypeOfCode(code);
  if (!dtype) throw refuse(`"${name}" has element type ${dtypeName(code)}`);
  const data = table.bytes(TENSOR.data);
  if (data.byteLength !== elementCount(dims) * bytesPerElement(dtype))
    throw refuse(`"${name}" holds ${data.byteLength} bytes, but its shape is [${dims.join(', ')}]`);
  return tensorOfBytes(dtype, dims, data);
}

/** A table of a flatbuffer. The package's own reader gives zeros for what lies outside of the file; this one throws a RangeError. */
class Table {
  private readonly fields: number;
  private readonly fieldBytes: number;

  constructor(
    private readonly view: DataView,
    private readonly start: number,
  ) {
    this.fields = start - view.getInt32(start, true);
    this.fieldBytes = view.getUint16(this.fields, true);
  }

  /** Where a field is, or 0 where the table leaves it out. */
  private at(field: number): number {
    const entry = 4 + 2 * field;
    const offset = entry < this.fieldBytes ? this.view.getUint16(this.fields + entry, true) : 0;
    return offset && this.start + offset;
  }

  int32(field: number): number {
    const at = this.at(field);
    return at && this.view.getInt32(at, true);
  }

  bool(field: number): boolean {
    const at = this.at(field);
    return at !== 0 && this.view.getUint8(at) !== 0;
  }

  table(field: number): Table | undefined {
    const at = this.at(field);
    return at === 0 ? undefined : new Table(this.view, this.pointer(at));
  }

  tables(field: number): Table[] {
    const { at, length } = this.vector(field, 4);
    return Array.from({ length }, (_, index) => new Table(this.view, this.pointer(at + 4 * index)));
  }

  int64s(field: number): number[] {
    const { at, length } = this.vector(field, 8);
    return Array.from({ length }, (_, index) => Number(this.view.getBigInt64(at + 8 * index, true)));
  }

  bytes(field: number): Uint8Array {
    const { at, length } = this.vector(field, 1);
    return new Uint8Array(this.view.buffer, this.view.byteOffset + at, length);
  }

  text(field: number): string {
    return new TextDecoder().decode(this.bytes(field));
  }

  private pointer(at: number): number {
    return at + this.view.getUint32(at, true);
  }

  private vector(field: number, elementBytes: number): { at: number; length: number } {
    const pointer = this.at(field);
    if (pointer === 0) return { at: 0, length: 0 };
    const at = this.pointer(pointer);
    const length = this.view.getUint32(at, true);
    if (at + 4 + length * elementBytes > this.view.byteLength)
      throw new RangeError('a vector ends outside of the file');
    return { at: at + 4, length };
  }
}
