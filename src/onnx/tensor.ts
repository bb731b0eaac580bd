import { create } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import { type TensorProto, TensorProtoSchema } from './onnx_pb.js';

/** Element types, by the names that ONNX Runtime's JavaScript API uses. */
const constructors = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
} as const;

export type DType = keyof typeof constructors;
export type TensorData = InstanceType<(typeof constructors)[DType]>;

/** `TensorProto.DataType` of each element type (onnx.proto). */
const codes: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

const names = new Map(Object.entries(codes).map(([name, code]) => [code, name as DType]));
const alienNames = new Map([
  [8, 'string'],
  [14, 'complex64'],
  [15, 'complex128'],
  [16, 'bfloat16'],
  [17, 'float8e4m3fn'],
  [18, 'float8e4m3fnuz'],
  [19, 'float8e5m2'],
  [20, 'float8e5m2fnuz'],
  [21, 'uint4'],
  [22, 'int4'],
  [23, 'float4e2m1'],
]);

/** Bits of an element of the types that ort-tl has no arrays of. */
const alienBits = new Map([
  [14, 64],
  [15, 128],
  [16, 16],
  [17, 8],
  [18, 8],
  [19, 8],
  [20, 8],
  [21, 4],
  [22, 4],
  [23, 4],
]);

/** A constant: row-major `data` of shape `dims`. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

export function bytesPerElement(dtype: DType): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

export function dtypeCode(dtype: DType): number {
  return codes[dtype];
}

/** The element type with this `TensorProto.DataType`, or undefined where ort-tl has none. */
export function dtypeOfCode(code: number): DType | undefined {
  return names.get(code);
}

/** The bits of an element with this `TensorProto.DataType`; undefined where they vary or are not known. */
export function bitsPerElement(code: number): number | undefined {
  const dtype = names.get(code);
  return dtype ? 8 * constructors[dtype].BYTES_PER_ELEMENT : alienBits.get(code);
}

/** A name for any `TensorProto.DataType`, for messages. */
export function dtypeName(code: number): string {
  return names.get(code) ?? alienNames.get(code) ?? `type ${code}`;
}

/** A zeroed array for `count` elements. */
function allocate(dtype: DType, count: number): TensorData {
  return new constructors[dtype](count);
}

export function tensor(dtype: DType, dims: readonly number[], data: TensorData): Tensor {
  if (data.length !== elementCount(dims))
    throw new Error(`a tensor of shape [${dims.join(', ')}] has not ${data.length} elements`);
  return { dtype, dims, data };
}

export function floatTensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return tensor('float32', dims, new Float32Array(values));
}

export function intTensor(dims: readonly number[], values: readonly number[]): Tensor {
  return tensor('int64', dims, BigInt64Array.from(values, BigInt));
}

/** The elements as numbers. @throws RangeError on an integer that a double cannot hold. */
export function toNumbers(t: Tensor): number[] {
  const numbers: number[] = [];
  for (const value of t.data) {
    const number = Number(value);
    if (typeof value === 'bigint' && BigInt(number) !== value) throw new RangeError(`${value.toString()} is too large`);
    numbers.push(number);
  }
  return numbers;
}

/** Exporters write the largest int64 where they mean "to the end": the largest integer that a double holds means the same. */
export function nearestNumber(integer: number | bigint): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Number(integer)));
}

/** The `float32` elements of `t`. @throws Error when they are of another type. */
export function floats(t: Tensor): Float32Array {
  if (!(t.data instanceof Float32Array)) throw new Error(`expected float32, got ${t.dtype}`);
  return t.data;
}

/** The raw little-endian bytes of `t`, without a copy. */
export function bytesOf(t: Tensor): Uint8Array {
  return new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
}

/** A tensor over little-endian `bytes`; copies only when they are not aligned. */
export function tensorOfBytes(dtype: DType, dims: readonly number[], bytes: Uint8Array): Tensor {
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : new Uint8Array(bytes);
  const count = bytes.byteLength / bytesPerElement(dtype);
  return tensor(dtype, dims, new constructors[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, count));
}

/**
 * Reads an initializer or a constant.
 * @throws UserError `bad-model` when its length and shape disagree, `unsupported-dtype` for strings and exotic types.
 */
export function tensorOfProto(proto: TensorProto): Tensor {
  const dtype = names.get(proto.dataType);
  if (!dtype) {
    throw new UserError(
      'unsupported-dtype',
      `tensor "${proto.name}" has element type ${dtypeName(proto.dataType)}, which ort-tl cannot train with; convert the model to float32`,
    );
  }
  const dims = proto.dims.map(Number);
  const count = elementCount(dims);
  const bad = (got: number) =>
    new UserError(
      'bad-model',
      `tensor "${proto.name}" should hold ${count} elements of ${dtype} for its shape [${dims.join(', ')}], but holds ${got}; the model file is damaged`,
    );
  if (dims.some((dim) => dim < 0 || !Number.isSafeInteger(dim)) || !Number.isSafeInteger(count)) throw bad(0);

  if (proto.dataLocation === 1) {
    throw new UserError(
      'external-data',
      `tensor "${proto.name}" is stored outside the model file, where it cannot be read; save the model as one file`,
    );
  }
  if (proto.rawData.byteLength > 0) {
    const raw = proto.rawData;
    if (raw.byteLength !== count * bytesPerElement(dtype)) throw bad(raw.byteLength / bytesPerElement(dtype));
    return tensorOfBytes(dtype, dims, raw);
  }
  const typed = typedElements(proto, dtype);
  if (typed.length !== count) throw bad(typed.length);
  const data = allocate(dtype, count);
  typed.forEach((value, index) => (data[index] = value));
  return { dtype, dims, data };
}

/** The elements of the typed field in which onnx.proto stores `dtype`. */
function typedElements(proto: TensorProto, dtype: DType): readonly (number | bigint)[] {
  switch (dtype) {
    case 'float32':
      return proto.floatData;
    case 'float64':
      return proto.doubleData;
    case 'int64':
      return proto.int64Data;
    case 'uint32':
      return proto.uint64Data.map(Number);
    case 'uint64':
      return proto.uint64Data;
    default:
      return proto.int32Data;
  }
}

/** `t` as an initializer called `name`, its elements in `raw_data` without a copy. */
export function protoOfTensor(name: string, t: Tensor): TensorProto {
  return create(TensorProtoSchema, { name, dims: t.dims.map(BigInt), dataType: codes[t.dtype], rawData: bytesOf(t) });
}
