import { elementCount, floats, type Tensor, tensor } from '../onnx/tensor.js';
import { SMALLEST_SCALE } from './range.js';

/** The largest bias: half of what 32 bits hold, so that the sum of products that it is added to has as much room. */
const LARGEST_BIAS = 2 ** 30;

export interface QuantizedWeight {
  /** int8, of the weight's shape. */
  readonly whole: Tensor;
  /** One for each channel of the layer's result. */
  readonly scales: readonly number[];
}

export interface WeightOptions {
  /** The axis of the weight that counts the channels of the layer's result. */
  readonly axis: number;
  /** The largest whole number. */
  readonly largest: number;
  /** What is added to the products; absent where there is none. */
  readonly bias?: Tensor | undefined;
  /** The scale of the layer's input; absent where the input is not in whole numbers. */
  readonly inputScale?: number | undefined;
}

/**
 * A layer's weight in whole numbers from −`largest` to `largest`, symmetric, each channel of `axis` by its own largest number.
 * A channel's scale is no smaller than lets its bias fit into 32 bits, in steps of that scale times the input's.
 */
export function quantizeWeight(
  weight: Tensor,
  { axis, largest, bias, inputScale = Infinity }: WeightOptions,
): QuantizedWeight {
  const numbers = floats(weight);
  const biases = bias && floats(bias);
  const channels = weight.dims[axis] ?? 1;
  const inner = elementCount(weight.dims.slice(axis + 1));
  const channelOf = (index: number) => Math.floor(index / inner) % channels;
  const peaks = new Float64Array(channels);
  numbers.forEach((number, index) => {
    const channel = channelOf(index);
    peaks[channel] = Math.max(peaks[channel] ?? 0, Math.abs(number));
  });
  const scales = Array.from(peaks, (peak, channel) => {
    const fitting = Math.abs(biases?.[channel] ?? 0) / (LARGEST_BIAS * inputScale);
    const scale = Math.fround(Math.max(peak / largest, fitting));
    return scale > SMALLEST_SCALE ? scale : 1;
  });
  const whole = Int8Array.from(numbers, (number, index) =>
    Math.min(largest, Math.max(-largest, Math.round(number / (scales[channelOf(index)] ?? 1)))),
  );
  return { whole: tensor('int8', weight.dims, whole), scales };
}
