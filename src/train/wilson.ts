/** The standard normal distribution's 97.5 % quantile. */
const Z = 1.959963984540054;

/** Wilson's interval of 95 % for a share of which `right` of `count` were seen; from 0 to 1 where nothing was. */
export function wilson95(right: number, count: number): { readonly low: number; readonly high: number } {
  if (count === 0) return { low: 0, high: 1 };
  const share = right / count;
  const spread = Z ** 2 / count;
  const middle = (share + spread / 2) / (1 + spread);
  const half = (Z / (1 + spread)) * Math.sqrt((share * (1 - share)) / count + spread / (4 * count));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
