import type { EpochPoint } from '../../api.js';
import { percent } from '../formatting.js';
import { texts } from '../texts.js';
import { LineChart, type ChartLine } from './lineChart.js';

interface CurvesProps {
  readonly runs: readonly { readonly name: string; readonly results: readonly EpochPoint[] }[];
}

const lossText = (value: number): string => (value < 0.095 && value > 0 ? value.toPrecision(2) : value.toFixed(2));
const shareText = (value: number): string => percent(value, value > 0 && value < 1 ? 1 : 0);

function line(name: string, results: readonly EpochPoint[], of: (point: EpochPoint) => number | undefined): ChartLine {
  const points = results.flatMap((point): [number, number][] => {
    const value = of(point);
    return value === undefined ? [] : [[point.epoch, value]];
  });
  return { name, points };
}

/** Loss and top-1 by epoch: of one run in training and validation, of several in validation. */
export function Curves({ runs }: CurvesProps) {
  const words = texts.chart;
  const [only] = runs;
  if (!only) return null;
  const isOne = runs.length === 1;
  const losses = isOne
    ? [
        line(words.training, only.results, ({ trainLoss }) => trainLoss),
        line(words.validation, only.results, ({ valLoss }) => valLoss),
      ]
    : runs.map(({ name, results }) => line(name, results, ({ valLoss }) => valLoss));
  const training = line(words.training, only.results, ({ trainTop1 }) => trainTop1);
  const shares = isOne
    ? [training, line(words.validation, only.results, ({ top1 }) => top1)].filter(({ points }) => points.length > 0)
    : runs.map(({ name, results }) => line(name, results, ({ top1 }) => top1));
  return (
    <div class="figures">
      <LineChart title={isOne ? words.loss : words.valLoss} lines={losses} text={lossText} />
      <LineChart title={isOne ? words.top1 : words.valTop1} lines={shares} text={shareText} bounds={[0, 1]} />
    </div>
  );
}
