import { bytesPerElement, elementCount } from '../onnx/tensor.js';
import { bindShape, type Value } from './graph.js';

/** Elements of a value for a batch of `batch`; 0 while its shape is unknown. */
export function elementsOf(value: Value | undefined, batch = 1): number {
  return value?.shape ? elementCount(bindShape(value.shape, batch)) : 0;
}

/** Bytes of a value for a batch of `batch`; 0 while its shape is unknown. */
export function bytesOfValue(value: Value, batch = 1): number {
  return elementsOf(value, batch) * bytesPerElement(value.dtype ?? 'float32');
}
