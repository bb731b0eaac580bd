import type { Builder } from '../graph/builder.js';
import type { Value } from '../graph/graph.js';
import { concreteShape } from '../graph/graph.js';

/**
 * Softmax cross-entropy of `logits` [B, classes] and `labels` int64 [B], weighted by `weights` float32 [B] (0 leaves an
 * image out): Σ wₙ·lₙ / Σ wₙ. With label smoothing ε the target is (1 − ε)·onehot + ε/classes (Szegedy et al. 2016).
 * Gives a scalar.
 */
export function crossEntropy(g: Builder, logits: Value, labels: Value, weights: Value, labelSmoothing: number): Value {
  const [, classes = 0] = concreteShape(logits);
  const oneHot = g.oneHot(labels, classes);
  const target =
    labelSmoothing === 0
      ? oneHot
      : g.add(g.mul(oneHot, g.scalar(1 - labelSmoothing)), g.scalar(labelSmoothing / classes));
  const perImage = g.reduceSum(g.mul(target, g.logSoftmax(logits, -1)), [1], false);
  const share = g.div(weights, g.reduceSum(weights, undefined, false));
  return g.neg(g.reduceSum(g.mul(perImage, share), undefined, false));
}
