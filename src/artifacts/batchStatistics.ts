import type { Builder } from '../graph/builder.js';
import { concreteShape, type Graph, type Node, Value } from '../graph/graph.js';
import { dtypeCode } from '../onnx/tensor.js';
import type { Layer } from '../policy/layer.js';

/** How far one step moves the running averages: PyTorch's `momentum`. */
const MOMENTUM = 0.1;

/** The BatchNormalizations of trained layers. */
export function normsOf(layers: readonly Layer[]): Node[] {
  return [...new Set(layers.flatMap(({ norm }) => norm ?? []))];
}

/** Inputs of a BatchNormalization that hold its running mean and variance. */
const STATISTICS = [3, 4] as const;

/** A running average: what it is called, and where the source model reads it. */
export interface Statistic {
  readonly value: Value;
  readonly node: Node;
  readonly input: number;
}

export function statisticsOf(norms: readonly Node[]): Statistic[] {
  return norms.flatMap((node) => STATISTICS.map((input) => ({ value: node.input(input), node, input })));
}

/**
 * Gives every BatchNormalization averages of its own. Exporters share what is equal in an untrained model: a mean of zeros is
 * then another's mean, and some shift too, from which it must be able to move apart.
 */
export function separateStatistics(graph: Graph): void {
  const uses = new Map<Value, number>();
  for (const value of graph.nodes.flatMap(({ inputs }) => inputs))
    if (value?.constant) uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const node of graph.nodes) {
    if (node.op !== 'BatchNormalization' || node.domain !== '') continue;
    for (const index of STATISTICS) {
      const shared = node.inputs[index];
      if (!shared?.constant || uses.get(shared) === 1) continue;
      const own = new Value(`${node.name}/${index === 3 ? 'mean' : 'variance'}`, shared.dtype, shared.shape);
      own.constant = shared.constant;
      node.inputs[index] = own;
    }
  }
}

/** Which images of a batch count, one row [1, B]: each its share, and how many there are (a scalar). */
export interface Presence {
  readonly shares: Value;
  readonly count: Value;
}

/** Images of weight 0 fill up a batch: they count for nothing. */
export function presenceOf(g: Builder, weights: Value): Presence {
  const [batch = 0] = concreteShape(weights);
  const present = g.reshape(g.cast(g.greater(weights, g.scalar(0)), dtypeCode('float32')), [1, batch]);
  const count = g.reduceSum(present, undefined, false);
  return { shares: g.div(present, g.op('Max', [count, g.scalar(1)])), count };
}

/**
 * y = (x − μ)·γ/√(v + ε) + β of x [B, C, …], with mean μ and (biased) variance v of each channel over the images present.
 * The running averages move by a tenth of the way to μ and to the unbiased variance v·m/(m − 1), as in PyTorch.
 */
export function normalizeByBatch(
  g: Builder,
  norm: Node,
  { x, scale, shift, mean, variance }: Record<'x' | 'scale' | 'shift' | 'mean' | 'variance', Value>,
  { shares, count }: Presence,
): { y: Value; mean: Value; variance: Value } {
  const [, channels = 0, ...size] = concreteShape(x);
  const area = size.reduce((product, length) => product * length, 1);
  const axes = size.map((_, axis) => axis + 2);
  const perChannel = [1, channels, ...size.map(() => 1)];
  // Sums over an image first: what is weighted by images is then small.
  const average = (value: Value) => {
    const sums = axes.length === 0 ? value : g.reduceSum(value, axes, false);
    return g.mul(g.matmul(shares, sums), g.scalar(1 / area));
  };
  const mu = average(x);
  const centred = g.sub(x, g.reshape(mu, perChannel));
  const biased = average(g.mul(centred, centred));
  const inverseDeviation = g.op('Reciprocal', [g.sqrt(g.add(biased, g.scalar(norm.float('epsilon', 1e-5))))]);
  const gain = g.mul(g.reshape(scale, [1, channels]), inverseDeviation);
  const y = g.add(g.mul(centred, g.reshape(gain, perChannel)), g.reshape(shift, perChannel));

  const numbers = g.mul(count, g.scalar(area));
  // A single number has no unbiased variance; 0 stands for it.
  const unbiased = g.mul(biased, g.div(numbers, g.op('Max', [g.sub(numbers, g.scalar(1)), g.scalar(1)])));
  const moved = (average: Value, to: Value) =>
    g.add(g.mul(average, g.scalar(1 - MOMENTUM)), g.mul(g.reshape(to, [channels]), g.scalar(MOMENTUM)));
  return { y, mean: moved(mean, mu), variance: moved(variance, unbiased) };
}
