import type { Builder } from '../graph/builder.js';
import type { Value } from '../graph/graph.js';
import { sumNodes } from './lossScaling.js';
import type { NodeResults, Schedule, UpdateRule } from './optimizers/updateRule.js';
import { averageShare } from './update.js';

/** A trainable parameter and what is kept of it, within a graph: values of one shape. */
export interface TrainedValues {
  readonly parameter: Value;
  readonly gradient: Value;
  readonly moments: readonly Value[];
  /** Present where averages are kept. */
  readonly average: Value | undefined;
  readonly learningRateMultiplier: number;
  readonly decays: boolean;
}

interface NextValues extends NodeResults {
  readonly average: Value | undefined;
}

export interface NodesOptions {
  readonly rule: UpdateRule;
  /** What {@link updateNumbers} gives, float32 [numbers]. */
  readonly numbers: Value;
  /** What gradients are multiplied by before all else, a scalar; 1 where it is left out. */
  readonly scale: Value | undefined;
  /** The largest norm of all gradients together; 0 for any. */
  readonly clipNorm: number;
}

/** The different multipliers of parameters' learning rates, each once. */
const multipliersOf = (trained: readonly Pick<TrainedValues, 'learningRateMultiplier'>[]) => [
  ...new Set(trained.map(({ learningRateMultiplier }) => learningRateMultiplier)),
];

/** What {@link updateNodes} take of a step: computed here, in double precision, as what kernels take is. */
export function updateNumbers(
  trained: readonly Pick<TrainedValues, 'learningRateMultiplier'>[],
  { rule, averageDecay }: { readonly rule: UpdateRule; readonly averageDecay: number },
  { learningRate, step }: Schedule,
): number[] {
  const ofRates = multipliersOf(trained).flatMap((multiplier) =>
    rule.numbers({ learningRate: learningRate * multiplier, step }),
  );
  return [averageShare(step, averageDecay), ...ofRates];
}

/** Appends a step's update of all parameters, their moments and their averages: the same arithmetic as that of `updateAll`. */
export function updateNodes(g: Builder, trained: readonly TrainedValues[], options: NodesOptions): NextValues[] {
  const { rule, numbers } = options;
  const numberAt = (place: number) => g.squeeze(g.slice(numbers, [place], [place + 1], [0]), [0]);
  const share = trained.some(({ average }) => average) ? numberAt(0) : undefined;
  const count = rule.numbers({ learningRate: 1, step: 1 }).length;
  const ofRates = new Map(
    multipliersOf(trained).map((multiplier, at) => [
      multiplier,
      Array.from({ length: count }, (_, n) => numberAt(1 + at * count + n)),
    ]),
  );
  const factor = gradientFactor(
    g,
    trained.map(({ gradient }) => gradient),
    options,
  );
  return trained.map(({ parameter, gradient, moments, average, learningRateMultiplier, decays }) => {
    const scaled = factor ? g.mul(gradient, factor) : gradient;
    const own = ofRates.get(learningRateMultiplier) ?? [];
    const next = rule.nodes(g, { parameter, gradient: scaled, moments, decays, numbers: own });
    return {
      ...next,
      average: average && share && g.add(average, g.mul(g.sub(next.parameter, average), share)),
    };
  });
}

/** `scale`, times `clipFactor` of the scaled gradients; undefined for 1. */
function gradientFactor(
  g: Builder,
  gradients: readonly Value[],
  { scale, clipNorm }: Pick<NodesOptions, 'scale' | 'clipNorm'>,
): Value | undefined {
  if (clipNorm === 0) return scale;
  const squares = sumNodes(
    g,
    gradients.map((gradient) => g.reduceSumSquare(gradient)),
  );
  const length = scale ? g.mul(g.sqrt(squares), scale) : g.sqrt(squares);
  const clip = g.op('Min', [g.scalar(1), g.div(g.scalar(clipNorm), g.add(length, g.scalar(1e-6)))]);
  return scale ? g.mul(clip, scale) : clip;
}
