/** Photos in the order of their scores, the highest first. */
export function byScore(scores: ArrayLike<number>): Int32Array {
  return Int32Array.from({ length: scores.length }, (_, photo) => photo).sort(
    (a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b,
  );
}

/**
 * Σ (R_k − R_{k−1}) · P_k over the distinct scores from the highest down, precision and recall being those of all photos with that score or a
 * higher one: scikit-learn's `average_precision_score`. Undefined where no photo is right. A photo counts as often as `counts` says.
 */
export function averagePrecision(
  scores: ArrayLike<number>,
  isRight: (photo: number) => boolean,
  order = byScore(scores),
  counts?: ArrayLike<number>,
): number | undefined {
  let [right, seen, sum, rightBefore] = [0, 0, 0, 0];
  for (let at = 0; at < order.length; at++) {
    const photo = order[at] ?? 0;
    const count = counts ? (counts[photo] ?? 0) : 1;
    seen += count;
    if (isRight(photo)) right += count;
    const next = order[at + 1];
    if (next !== undefined && scores[next] === scores[photo]) continue;
    if (right > rightBefore) sum += (right - rightBefore) * (right / seen);
    rightBefore = right;
  }
  return right === 0 ? undefined : sum / right;
}
