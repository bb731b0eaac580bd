import type { Builder } from '../graph/builder.js';
import { concreteShape, type Value } from '../graph/graph.js';
import { dtypeCode, intTensor } from '../onnx/tensor.js';
import { Random } from '../random.js';

/** A prime, so that multiplying permutes what lies below it; the square of what lies below it fits an int64. */
const PRIME = 2 ** 31 - 1;

/**
 * `x` [B, …] with a share of `ratio` of its elements zero and the rest larger by 1/(1 − ratio). Which, is computed from `seed`,
 * the number of the `step` (float32 scalar) and the element's place: ONNX Runtime's own Dropout counts its runs instead, so
 * that a training which goes on in a new session would not drop what an unbroken one drops.
 */
export function dropout(g: Builder, x: Value, ratio: number, step: Value, seed: Random): Value {
  const int64 = dtypeCode('int64');
  const shape = concreteShape(x);
  const prime = g.constant('dropout/prime', intTensor([], [PRIME]));
  const modulo = (value: Value) => g.op('Mod', [value, prime]);
  const factor = () => g.constant('dropout/factor', intTensor([], [1 + seed.integer(PRIME - 1)]));
  // Fifth powers permute the numbers below the prime, 5 being no divisor of the prime less one.
  const scramble = (value: Value) => {
    const square = modulo(g.mul(value, value));
    return modulo(g.mul(modulo(g.mul(square, square)), value));
  };
  let hash = modulo(g.mul(g.cast(step, int64), factor()));
  shape.forEach((length, axis) => {
    const places = g.constant(
      'dropout/places',
      intTensor(
        shape.map((_, other) => (other === axis ? length : 1)),
        Array.from({ length }, (_, place) => place + 1),
      ),
    );
    hash = scramble(modulo(g.add(hash, modulo(g.mul(places, factor())))));
  });
  const dropped = g.less(
    scramble(modulo(g.mul(hash, factor()))),
    g.constant('dropout/limit', intTensor([], [Math.round(ratio * PRIME)])),
  );
  const kept = g.sub(g.scalar(1), g.cast(dropped, dtypeCode('float32')));
  return g.mul(x, g.mul(kept, g.scalar(1 / (1 - ratio))));
}
