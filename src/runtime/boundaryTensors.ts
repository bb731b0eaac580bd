import { elementCount } from '../onnx/tensor.js';
import * as ort from './ort.js';
import type { BoundaryDType, BoundaryValue, Row } from './slots.js';

/** Tensors over `buffers`, which hold the boundary of `count` images, by the names of its values. */
export function boundaryTensors(
  values: readonly BoundaryValue[],
  buffers: readonly Row[],
  count: number,
): Record<string, ort.Tensor> {
  return Object.fromEntries(
    values.map(({ name, dtype, shape }, index) => [
      name,
      asTensor(dtype, buffers[index]?.subarray(0, count * elementCount(shape)), [count, ...shape]),
    ]),
  );
}

function asTensor(dtype: BoundaryDType, data: Row | undefined, dims: readonly number[]): ort.Tensor {
  if (dtype === 'uint8' && data instanceof Uint8Array) return new ort.Tensor('uint8', data, dims);
  if (dtype === 'float16' && data instanceof Uint16Array) return new ort.Tensor('float16', data, dims);
  if (dtype === 'float32' && data instanceof Float32Array) return new ort.Tensor('float32', data, dims);
  throw new Error(`expected ${dtype}`);
}
