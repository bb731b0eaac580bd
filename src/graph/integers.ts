import { type DType, intTensor, nearestNumber, type Tensor } from '../onnx/tensor.js';
import { type Dim, Value } from './graph.js';

/** Integers that are known while shapes are inferred: constants, and arithmetic on shapes. */
export type Known = ReadonlyMap<Value, readonly Dim[]>;

/** Vectors longer than this are data, not shapes. */
export const LONGEST_VECTOR = 64;

const FEW: ReadonlySet<DType> = new Set<DType>(['int64', 'int32', 'bool', 'float32']);

/** The few numbers that a value holds, truth values as 1 and 0; undefined where they are not known. */
export function integersOf(value: Value | undefined, known: Known): readonly Dim[] | undefined {
  const constant = value?.constant;
  if (!constant) return value && known.get(value);
  return FEW.has(constant.dtype) && constant.data.length <= LONGEST_VECTOR ? numbersOfConstant(constant) : undefined;
}

/** A constant's elements as numbers; the huge integers that mean "to the end" become the largest exact ones. */
export function numbersOfConstant({ data }: Tensor): number[] {
  return Array.from(data, nearestNumber);
}

/** A constant list of integers, as shapes and axes are given. */
export function constantInts(name: string, numbers: readonly number[]): Value {
  const value = new Value(name, 'int64', [numbers.length]);
  value.constant = intTensor([numbers.length], numbers);
  return value;
}
