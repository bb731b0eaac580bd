import { drawChart } from '../figures/chart.js';

/** Rates of a range test: from a rate that changes nothing to one that breaks the training, evenly spaced by factors (Smith 2017). */
export function rangeOfRates(steps: number, lowest = 1e-6, highest = 1): Float32Array {
  return Float32Array.from({ length: steps }, (_, step) => lowest * (highest / lowest) ** (step / (steps - 1)));
}

/** Losses smoothed as fastai's recorder does: an exponential average without its bias towards 0. */
export function smoothed(losses: readonly number[], momentum = 0.9): number[] {
  let average = 0;
  return losses.map((loss, step) => {
    average = momentum * average + (1 - momentum) * loss;
    return average / (1 - momentum ** (step + 1));
  });
}

/**
 * The learning rate in the middle of the longest fall of the loss, as fastai's `valley` finds it: the longest falling
 * subsequence, between a third and two thirds of the way along. Undefined when the loss never falls.
 */
export function valleyOf(rates: Float32Array, losses: readonly number[]): number | undefined {
  // The end of the curve, where the loss blows up, says nothing of the valley.
  let lowest = Infinity;
  const blown = losses.findIndex((loss) => {
    lowest = Math.min(lowest, loss);
    return !(loss < 4 * lowest) && loss !== lowest;
  });
  const usable = blown < 0 ? losses : losses.slice(0, blown);
  const lengths = usable.map(() => 1);
  let end = 0;
  usable.forEach((loss, step) => {
    for (let before = 0; before < step; before++) {
      if (loss < (usable[before] ?? 0)) lengths[step] = Math.max(lengths[step] ?? 1, (lengths[before] ?? 1) + 1);
    }
    if ((lengths[step] ?? 0) > (lengths[end] ?? 0)) end = step;
  });
  const length = lengths[end] ?? 1;
  if (length < 3) return undefined;
  const start = Math.max(0, end - length);
  return rates[start + Math.round((end - start) / 2)];
}

/** Loss against learning rate, with the chosen rate marked, as SVG. */
export function drawRange(rates: Float32Array, losses: readonly number[], chosen: number): Promise<string> {
  const values = losses.flatMap((loss, step) => (Number.isFinite(loss) ? [{ rate: rates[step], loss }] : []));
  const x = { field: 'rate', type: 'quantitative', scale: { type: 'log' }, title: 'learning rate' } as const;
  return drawChart({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 480,
    height: 260,
    layer: [
      {
        data: { values },
        mark: { type: 'line' },
        encoding: { x, y: { field: 'loss', type: 'quantitative', scale: { zero: false } } },
      },
      {
        data: { values: [{ rate: chosen, label: `chosen: ${chosen.toExponential(1)}` }] },
        layer: [
          { mark: { type: 'rule', strokeDash: [4, 4], color: '#D55E00' }, encoding: { x } },
          { mark: { type: 'text', align: 'left', dx: 6, y: 10 }, encoding: { x, text: { field: 'label' } } },
        ],
      },
    ],
  });
}
