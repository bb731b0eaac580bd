import { nearestNumber, type Tensor } from '../onnx/tensor.js';
import type { Dim, Value } from './graph.js';

/** Integers that are known while shapes are inferred: constants, and arithmetic on shapes. */
export type Known = ReadonlyMap<Value, readonly Dim[]>;

/** Vectors longer than this are data, not shapes. */
export const LONGEST_VECTOR = 64;

/** The integers that a value holds; undefined where they are not known. */
export function integersOf(value: Value | undefined, known: Known): readonly Dim[] | undefined {
  const constant = value?.constant;
  if (!constant) return value && known.get(value);
  return (constant.dtype === 'int64' || constant.dtype === 'int32') && constant.data.length <= LONGEST_VECTOR
    ? numbersOfConstant(constant)
    : undefined;
}

/** A constant's elements as numbers; the huge integers that mean "to the end" become the largest exact ones. */
export function numbersOfConstant({ data }: Tensor): number[] {
  return Array.from(data, nearestNumber);
}
