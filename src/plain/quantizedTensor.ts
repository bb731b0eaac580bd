import type { TensorProto } from '../onnx/onnx_pb.js';
import { elementCount, tensorOfProto } from '../onnx/tensor.js';

/** `TensorProto.DataType` of whole numbers of four bits, two a byte, the lower first. */
const UINT4 = 21;
const INT4 = 22;

/** What whole numbers of a type reach from and to. */
const RANGES = new Map<number, readonly [number, number]>([
  [2, [0, 255]],
  [3, [-128, 127]],
  [4, [0, 65535]],
  [5, [-32768, 32767]],
  [UINT4, [0, 15]],
  [INT4, [-8, 7]],
]);

/** The least and the largest number of a quantized type. */
export const rangeOf = (code: number): readonly [number, number] | undefined => RANGES.get(code);

/** The whole numbers of a tensor. @throws UserError as {@link tensorOfProto} does. */
export function wholeNumbersOf(proto: TensorProto): Float64Array {
  if (proto.dataType !== UINT4 && proto.dataType !== INT4) return Float64Array.from(tensorOfProto(proto).data, Number);
  const count = elementCount(proto.dims.map(Number));
  const bytes = proto.rawData.byteLength > 0 ? proto.rawData : Uint8Array.from(proto.int32Data);
  return Float64Array.from({ length: count }, (_, index) => {
    const byte = bytes[index >> 1] ?? 0;
    const nibble = index % 2 === 0 ? byte & 15 : byte >> 4;
    return proto.dataType === INT4 && nibble > 7 ? nibble - 16 : nibble;
  });
}

/** For which numbers of a tensor one scale holds: along which axis they change, and after how many places. */
export interface Scales {
  readonly scales: ArrayLike<number>;
  readonly zeros: ArrayLike<number> | undefined;
  readonly axis: number;
  /** Places along the axis with one scale; 0 where each place has its own. */
  readonly blockSize: number;
}

/** (numbers − zero)·scale, by the scale of each. */
export function dequantized(
  numbers: ArrayLike<number>,
  dims: readonly number[],
  { scales, zeros, axis, blockSize }: Scales,
): Float32Array {
  const at = axis < 0 ? axis + dims.length : axis;
  const inner = dims.slice(at + 1).reduce((product, dim) => product * dim, 1);
  const along = dims[at] ?? 1;
  const blocks = blockSize > 0 ? Math.ceil(along / blockSize) : along;
  const result = new Float32Array(numbers.length);
  for (let index = 0; index < numbers.length; index++) {
    const place = Math.floor(index / inner) % along;
    const outer = Math.floor(index / (inner * along));
    const which =
      scales.length === 1
        ? 0
        : blockSize > 0
          ? (outer * blocks + Math.floor(place / blockSize)) * inner + (index % inner)
          : place;
    result[index] = ((numbers[index] ?? 0) - (zeros?.[which] ?? 0)) * (scales[which] ?? 1);
  }
  return result;
}
