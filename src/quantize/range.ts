/** The numbers that an activation takes, from `min` to `max`. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** How whole numbers stand for real ones: real = scale · (whole − zeroPoint). */
export interface Quantization {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** The largest unsigned byte. */
const LARGEST = 255;
/** Steps below this are as good as none, and their products are no numbers any more. */
export const SMALLEST_SCALE = 1e-30;

/** How an activation becomes an unsigned byte. 0 is always among the numbers that are exact, since padding is made of it. */
export function activationQuantization({ min, max }: Range): Quantization {
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  // Float32 is what the file holds, and what the bias is reckoned with.
  const scale = Math.fround((high - low) / LARGEST);
  if (!(scale > SMALLEST_SCALE)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.min(LARGEST, Math.max(0, Math.round(-low / scale))) };
}
