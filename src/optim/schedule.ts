/**
 * The learning rate of step `step` (0 at first) of `total`: rises linearly through `warmup` steps, then falls along half a
 * cosine to 0 (Loshchilov and Hutter 2017).
 */
export function cosineWithWarmup(peak: number, step: number, total: number, warmup: number): number {
  if (step < warmup) return (peak * (step + 1)) / (warmup + 1);
  return (peak * (1 + Math.cos((Math.PI * (step - warmup)) / Math.max(1, total - warmup)))) / 2;
}
