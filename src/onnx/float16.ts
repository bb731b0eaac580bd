import { floats, floatTensor, type Tensor, tensor } from './tensor.js';

/** The number that float16 `bits` stand for. */
export function halfNumber(bits: number): number {
  const [exponent, mantissa] = [(bits >>> 10) & 0x1f, bits & 0x3ff];
  const magnitude =
    exponent === 0x1f
      ? mantissa === 0
        ? Infinity
        : NaN
      : exponent === 0
        ? mantissa * 2 ** -24
        : (1 + mantissa / 2 ** 10) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/** A float32 tensor in float16, each number the nearest. */
export function halfTensor(source: Tensor): Tensor {
  const whole = floats(source);
  const half = new Uint16Array(whole.length);
  for (let at = 0; at < whole.length; at++) half[at] = halfBits(whole[at] ?? NaN);
  return tensor('float16', source.dims, half);
}

/** A tensor of floating point in float32. @throws Error for whole numbers. */
export function wholeTensor({ dtype, dims, data }: Tensor): Tensor {
  if (data instanceof Float32Array || data instanceof Float64Array) return floatTensor(dims, data);
  if (dtype === 'float16' && data instanceof Uint16Array) return floatTensor(dims, halfNumbers(data));
  throw new Error(`expected floating point, got ${dtype}`);
}

/** All float16 numbers by their bits, once they are needed: models have millions of them. */
let numbers: Float32Array | undefined;

function halfNumbers(bits: Uint16Array): Float32Array {
  numbers ??= new Float32Array(2 ** 16).map((_, each) => halfNumber(each));
  const whole = new Float32Array(bits.length);
  for (let at = 0; at < bits.length; at++) whole[at] = numbers[bits[at] ?? 0] ?? 0;
  return whole;
}

const view = new DataView(new ArrayBuffer(4));
/** The largest number of float16, as bits. */
const LARGEST = 0x7bff;

/** The float16 nearest to `number`, as bits: of two as near the even one (IEEE 754), and of numbers too large the largest there is. */
export function halfBits(number: number): number {
  view.setFloat32(0, number);
  const bits = view.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(number)) return sign | 0x7e00;
  const magnitude = Math.abs(number);
  if (magnitude >= 65504) return sign | LARGEST;
  // Below 2^-14 numbers stand 2^-24 apart; above, the mantissa loses 13 bits, and the exponent's origin moves from 127 to 15.
  if (magnitude < 2 ** -14) return sign | roundedToEven(magnitude * 2 ** 24);
  const exact = (bits & 0x7fffffff) - ((127 - 15) << 23);
  return sign | Math.min(LARGEST, roundedToEven(exact / 2 ** 13));
}

function roundedToEven(number: number): number {
  const down = Math.floor(number);
  const rest = number - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}
