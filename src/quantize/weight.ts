import { elementCount, floats, type Tensor, tensor } from '../onnx/tensor.js';
import { SMALLEST_SCALE } from './range.js';

/** What an integer of 32 bits holds, with as much room left for the sum of products that the bias is added to. */
const LARGEST_BIAS = 2 ** 30;

export interface QuantizedLayer {
  /** int8, of the weight's shape. */
  readonly weight: Tensor;
  /** One for each channel of the layer's result. */
  readonly scales: readonly number[];
  /** int32, in steps of the input's scale times the channel's; absent where the layer has no bias. */
  readonly bias: Tensor | undefined;
  readonly biasScales: readonly number[];
}

/**
 * A layer's weight in whole numbers from −`largest` to `largest`, symmetric, each channel of `axis` by its own largest number;
 * and its bias, for an input of scale `inputScale`. A channel's scale is no smaller than lets its bias fit into 32 bits.
 */
export function quantizeLayer(
  weight: Tensor,
  bias: Tensor | undefined,
  { axis, largest, inputScale }: { readonly axis: number; readonly largest: number; readonly inputScale: number },
): QuantizedLayer {
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
  const biasScales = scales.map((scale) => Math.fround(scale * inputScale));
  const counts =
    biases && Int32Array.from(biases, (number, channel) => Math.round(number / (biasScales[channel] ?? 1)));
  return {
    weight: tensor('int8', weight.dims, whole),
    scales,
    bias: counts && tensor('int32', [counts.length], counts),
    biasScales,
  };
}
