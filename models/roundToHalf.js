// Rounds the weights of a layer to float16 so that its results stay as they were on average.
import { halfBits, halfNumber } from '../dist/onnx/float16.js';
import { floats, tensor } from '../dist/onnx/tensor.js';

/** @typedef {import('../dist/onnx/tensor.js').Tensor} Tensor */

/**
 * What a normal distribution is on average once it is cut off below 0 and above 6.
 * @param {number} mean @param {number} deviation
 */
export function meanOfRelu6(mean, deviation) {
  let [sum, weights] = [0, 0];
  for (let step = -100; step <= 100; step++) {
    const place = step / 20;
    const weight = Math.exp(-(place ** 2) / 2);
    weights += weight;
    sum += weight * Math.min(6, Math.max(0, mean + deviation * place));
  }
  return sum / weights;
}

/**
 * A weight [outputs, inputs, …] in float16, where input number i is `means[i]` on average. Each number is rounded to one of its two
 * neighbours: to the nearer one, but for those that undo, at the least cost, what the rounding of the others does to an output's mean.
 * @param {Tensor} weight @param {readonly number[]} means
 * @returns {Tensor}
 */
export function roundToHalf(weight, means) {
  const numbers = floats(weight);
  const [outputs = 1] = weight.dims;
  const perOutput = numbers.length / outputs;
  const perInput = perOutput / means.length;
  const bits = new Uint16Array(numbers.length);
  for (let output = 0; output < outputs; output++) {
    let sum = 0;
    const others = [];
    for (let at = 0; at < perOutput; at++) {
      const index = output * perOutput + at;
      const number = numbers[index] ?? 0;
      const mean = means[Math.floor(at / perInput)] ?? 0;
      const nearest = halfBits(number);
      const error = halfNumber(nearest) - number;
      bits[index] = nearest;
      sum += error * mean;
      // Neighbours in size are neighbours in their bits, but for 0.
      const other = nearest + (Math.abs(halfNumber(nearest)) > Math.abs(number) ? -1 : 1);
      const change = (halfNumber(other) - halfNumber(nearest)) * mean;
      const cost = (halfNumber(other) - number) ** 2 - error ** 2;
      if (error !== 0 && (nearest & 0x7fff) > 0 && change !== 0)
        others.push({ index, other, change, price: cost / Math.abs(change) });
    }
    others.sort((a, b) => a.price - b.price);
    for (const { index, other, change } of others) {
      if (Math.abs(sum + change) >= 0.98 * Math.abs(sum)) continue;
      bits[index] = other;
      sum += change;
    }
  }
  return tensor('float16', weight.dims, bits);
}
