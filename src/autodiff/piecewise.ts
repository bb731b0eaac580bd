import type { Builder } from '../graph/builder.js';
import { float, type Value } from '../graph/graph.js';
import { dtypeCode } from '../onnx/tensor.js';

/*
 * Pieces of piecewise functions. ONNX Runtime's Where, Sign and Softplus take several times as long as a comparison, a Cast
 * or a Clip (CPU, float32), and its WebGPU provider has no Sign; so a piece is chosen by multiplying.
 */

/** Turns any number that is not tiny (|x| > 1e-30) into one beyond ±1, with no overflow below 3e8. */
const STEEP = 1e30;

/** 1 where a condition holds, 0 elsewhere; of float32. */
export function indicator(g: Builder, condition: Value): Value {
  return g.cast(condition, dtypeCode('float32'));
}

export function clip(g: Builder, x: Value, low: number | undefined, high?: number): Value {
  const bound = (number: number | undefined) => (number === undefined ? undefined : g.scalar(number));
  return g.op('Clip', high === undefined ? [x, bound(low)] : [x, bound(low), bound(high)]);
}

/** −1, 0 or 1. */
export function sign(g: Builder, x: Value): Value {
  return clip(g, g.mul(x, g.scalar(STEEP)), -1, 1);
}

/** `above` where x > 0, `below` elsewhere. */
export function step(g: Builder, x: Value, below: number, above: number): Value {
  const steep = g.mul(x, g.scalar(STEEP));
  if (0 <= below && below <= above) return clip(g, steep, below, above);
  return g.add(g.mul(clip(g, steep, 0, 1), g.scalar(above - below)), g.scalar(below));
}

/** 1 where a > b, ½ where a = b, 0 where a < b. */
export function compare(g: Builder, a: Value, b: Value): Value {
  return g.op('HardSigmoid', [g.sub(a, b)], { alpha: float(STEEP), beta: float(0.5) });
}
