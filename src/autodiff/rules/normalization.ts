import type { Builder } from '../../graph/builder.js';
import { concreteShape, Value } from '../../graph/graph.js';
import { inferNode } from '../../graph/shapes.js';
import type { GradientRule, GradientThunk, RuleContext } from '../rule.js';

/**
 * y = x̂·γ + β with x̂ = (x − mean)·r and r = 1/√(variance + ε), over some axes  ⇒  with h = dy·γ:
 * dx = r·(h − mean h − x̂·mean(h·x̂)), dγ = Σ dy·x̂, dβ = Σ dy.
 */
interface Normalized {
  readonly hat: Value;
  readonly inverseDeviation: Value;
  readonly axes: readonly number[];
}

function inputGradient(g: Builder, { hat, inverseDeviation, axes }: Normalized, h: Value): Value {
  const along = g.mul(hat, g.reduceMean(g.mul(h, hat), axes));
  return g.mul(inverseDeviation, g.sub(g.sub(h, g.reduceMean(h, axes)), along));
}

/** Over the last axes. Mean and r are the operator's second and third output. */
export const layerNormalization: GradientRule = {
  op: 'LayerNormalization',
  gradients: ({ node, input, output, dy, g }) => {
    const shape = concreteShape(input(0));
    const first = (node.int('axis', -1) + shape.length) % shape.length;
    const normalized = once((): Normalized => {
      for (const [index, name] of [
        [1, 'mean'],
        [2, 'inverse_deviation'],
      ] as const) {
        const statistic = (node.outputs[index] ??= new Value(g.uniqueName(`LayerNormalization_${name}`)));
        statistic.producer = node;
      }
      inferNode(node);
      return {
        hat: g.mul(g.sub(input(0), output(1)), output(2)),
        inverseDeviation: output(2),
        axes: shape.flatMap((_, axis) => (axis < first ? [] : [axis])),
      };
    });
    return [() => inputGradient(g, normalized(), g.mul(dy, input(1))), () => g.mul(dy, normalized().hat), () => dy];
  },
};

/**
 * y = x̂·γ with x̂ = x·r and r = 1/√(mean x² + ε), over the last axes  ⇒  with h = dy·γ: dx = r·(h − x̂·mean(h·x̂)), dγ = Σ dy·x̂.
 */
const scaledByRoot = (op: string): GradientRule => ({
  op,
  gradients: ({ node, input, dy, g }) => {
    const rank = concreteShape(input(0)).length;
    const first = (node.int('axis', -1) + rank) % rank;
    const axes = Array.from({ length: rank - first }, (_, index) => first + index);
    const normalized = once(() => {
      const meanSquare = g.reduceMean(g.mul(input(0), input(0)), axes);
      const inverseRoot = g.op('Reciprocal', [g.sqrt(g.add(meanSquare, g.scalar(node.float('epsilon', 1e-5))))]);
      return { hat: g.mul(input(0), inverseRoot), inverseRoot };
    });
    return [
      () => {
        const { hat, inverseRoot } = normalized();
        const h = g.mul(dy, input(1));
        return g.mul(inverseRoot, g.sub(h, g.mul(hat, g.reduceMean(g.mul(h, hat), axes))));
      },
      () => g.mul(dy, normalized().hat),
    ];
  },
});

export const rmsNormalization = scaledByRoot('RMSNormalization');
/** ONNX Runtime's own name for the same, in the standard domain. */
export const simplifiedLayerNormalization = scaledByRoot('SimplifiedLayerNormalization');

/** Over space, for each image and channel. */
export const instanceNormalization: GradientRule = {
  op: 'InstanceNormalization',
  gradients: (context) => grouped(context, concreteShape(context.input(0))[1] ?? 0),
};

/** Over space and a group's channels. Before operator set 21, γ and β are given for each group, since then for each channel. */
export const groupNormalization: GradientRule = {
  op: 'GroupNormalization',
  gradients: (context) => grouped(context, context.node.int('num_groups', 1)),
};

/** x [N, C, …] is normalized as [N, groups, C / groups, space]. */
function grouped({ node, input, dy, g }: RuleContext, groups: number): GradientThunk[] {
  const shape = concreteShape(input(0));
  const [images = 0, channels = 0, ...space] = shape;
  const split = [images, groups, channels / groups, space.reduce((product, dim) => product * dim, 1)];
  const scaleShape = (scale: Value) =>
    concreteShape(scale)[0] === groups ? [groups, 1, 1] : [groups, channels / groups, 1];
  const dySplit = once(() => g.reshape(dy, split));
  const normalized = once((): Normalized => {
    const axes = [2, 3];
    const x = g.reshape(input(0), split);
    const centered = g.sub(x, g.reduceMean(x, axes));
    const variance = g.reduceMean(g.mul(centered, centered), axes);
    const deviation = g.sqrt(g.add(variance, g.scalar(node.float('epsilon', 1e-5))));
    const inverseDeviation = g.op('Reciprocal', [deviation]);
    return { hat: g.mul(centered, inverseDeviation), inverseDeviation, axes };
  });
  const toParameter = (gradient: Value, parameter: Value) =>
    g.reshape(g.unbroadcast(gradient, scaleShape(parameter)), concreteShape(parameter));
  return [
    () => {
      const h = g.mul(dySplit(), g.reshape(input(1), scaleShape(input(1))));
      return g.reshape(inputGradient(g, normalized(), h), shape);
    },
    () => toParameter(g.mul(dySplit(), normalized().hat), input(1)),
    () => toParameter(dySplit(), input(2)),
  ];
}

/** Computes at the first call, and remembers. */
function once<T>(compute: () => T): () => T {
  let result: { value: T } | undefined;
  return () => (result ??= { value: compute() }).value;
}
