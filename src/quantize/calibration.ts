import type { Range } from './range.js';

export const calibrationMethods = ['min-max', 'percentile', 'entropy'] as const;
/**
 * How ranges follow from numbers: all of them; all but 0.001 % at both ends together; or those whose distribution loses least by
 * 128 levels (Kullback-Leibler divergence, as TensorRT does it).
 */
export type CalibrationMethod = (typeof calibrationMethods)[number];

/** Bins of a histogram, half of them for negative numbers. */
const BINS = 4096;
const HALF = BINS / 2;
/** Share of the numbers that a percentile cuts off at either end. */
const CUT = 0.5e-5;
/** Levels, and the step between the numbers of bins that are tried, of the entropy method. */
const LEVELS = 128;
const ENTROPY_STEP = 16;

/** Takes the numbers of activations, batch after batch, and gives their ranges. Its memory does not grow with them. */
export class Calibration {
  private readonly extremes = new Map<string, { min: number; max: number }>();
  private readonly histograms = new Map<string, Histogram>();
  /** The first activation in which something was NaN: whole numbers would hide that. */
  notANumber: string | undefined;

  constructor(private readonly method: CalibrationMethod) {}

  /** Takes numbers of the activation `name`; what is not finite counts for nothing. */
  observe(name: string, numbers: Float32Array): void {
    const before = this.extremes.get(name) ?? { min: Infinity, max: -Infinity };
    const those = extremesOf(numbers);
    if (those.notANumber) this.notANumber ??= name;
    const [min, max] = [Math.min(before.min, those.min), Math.max(before.max, those.max)];
    this.extremes.set(name, { min, max });
    if (this.method === 'min-max') return;
    let histogram = this.histograms.get(name);
    if (!histogram) this.histograms.set(name, (histogram = new Histogram()));
    histogram.add(numbers, Math.max(-min, max));
  }

  ranges(): Map<string, Range> {
    return new Map(
      [...this.extremes].map(([name, { min, max }]) => {
        const histogram = this.histograms.get(name);
        if (!histogram) return [name, { min, max }];
        const within = this.method === 'percentile' ? histogram.percentile() : histogram.leastLoss();
        return [name, { min: Math.max(min, within.min), max: Math.min(max, within.max) }];
      }),
    );
  }
}

/** The smallest and the largest of the finite numbers, and whether there are some that are NaN. */
function extremesOf(numbers: Float32Array): { min: number; max: number; notANumber: boolean } {
  let [min, max] = [Infinity, -Infinity];
  // Without a branch: this runs over every number of every activation.
  for (let at = 0; at < numbers.length; at++) {
    const number = numbers[at] ?? NaN;
    min = Math.min(min, number);
    max = Math.max(max, number);
  }
  if (Number.isFinite(min) && Number.isFinite(max)) return { min, max, notANumber: false };
  const finite = numbers.filter((number) => Number.isFinite(number));
  const notANumber = numbers.some((number) => Number.isNaN(number));
  return finite.length > 0 ? { ...extremesOf(finite), notANumber } : { min: Infinity, max: -Infinity, notANumber };
}

/** Counts of numbers in bins of one width about 0, which doubles when a number lies outside. */
class Histogram {
  private counts = new Float64Array(BINS);
  private width = 0;
  private total = 0;

  /** @param peak the largest magnitude of all numbers so far. */
  add(numbers: Float32Array, peak: number): void {
    if (this.width === 0 && peak > 0) this.width = peak / (HALF - 1);
    while (peak >= this.width * HALF && this.width > 0) this.widen();
    const { counts, width } = this;
    const scale = width > 0 ? 1 / width : 0;
    let total = 0;
    for (let at = 0; at < numbers.length; at++) {
      const number = numbers[at] ?? NaN;
      // Neither NaN nor infinite.
      if (!(Math.abs(number) <= peak)) continue;
      const bin = (HALF + number * scale) | 0;
      counts[bin] = (counts[bin] ?? 0) + 1;
      total++;
    }
    this.total += total;
  }

  private widen(): void {
    const wider = new Float64Array(BINS);
    this.counts.forEach((count, bin) => {
      const place = HALF + Math.floor((bin - HALF) / 2);
      wider[place] = (wider[place] ?? 0) + count;
    });
    this.counts = wider;
    this.width *= 2;
  }

  percentile(): Range {
    const cut = CUT * this.total;
    let [first, below] = [0, 0];
    while (first < BINS - 1 && below + (this.counts[first] ?? 0) <= cut) below += this.counts[first++] ?? 0;
    let [last, above] = [BINS - 1, 0];
    while (last > first && above + (this.counts[last] ?? 0) <= cut) above += this.counts[last--] ?? 0;
    return { min: (first - HALF) * this.width, max: (last + 1 - HALF) * this.width };
  }

  leastLoss(): Range {
    const magnitudes = Array.from(
      { length: HALF },
      (_, bin) => (this.counts[HALF + bin] ?? 0) + (this.counts[HALF - 1 - bin] ?? 0),
    );
    // Zeros, exact at any range, would outweigh all else behind a Relu (NVIDIA's pytorch-quantization does the same).
    magnitudes[0] = magnitudes[1] ?? 0;
    let best = { bins: HALF, loss: Infinity };
    for (let bins = LEVELS; bins <= HALF; bins += ENTROPY_STEP) {
      const loss = divergence(magnitudes, bins);
      if (loss <= best.loss) best = { bins, loss };
    }
    const most = best.bins * this.width;
    return { min: -most, max: most };
  }
}

/** What the distribution `counts` loses, in nats, when the first `bins` of its bins become {@link LEVELS} levels and the others the last. */
function divergence(counts: readonly number[], bins: number): number {
  const beyond = counts.slice(bins).reduce((sum, count) => sum + count, 0);
  const original = counts.slice(0, bins);
  original[bins - 1] = (original[bins - 1] ?? 0) + beyond;
  const total = original.reduce((sum, count) => sum + count, 0);
  const kept = total - beyond;
  if (kept <= 0) return Infinity;
  let loss = 0;
  for (let level = 0; level < LEVELS; level++) {
    const [from, to] = [Math.floor((level * bins) / LEVELS), Math.floor(((level + 1) * bins) / LEVELS)];
    let [sum, occupied] = [0, 0];
    for (let bin = from; bin < to; bin++) {
      sum += counts[bin] ?? 0;
      if (original[bin]) occupied++;
    }
    for (let bin = from; bin < to; bin++) {
      const p = (original[bin] ?? 0) / total;
      if (p === 0) continue;
      // Where all that is in a level was cut off, next to nothing stands for it.
      const q = Math.max(sum / occupied / kept, 1e-9);
      loss += p * Math.log(p / q);
    }
  }
  return loss;
}
