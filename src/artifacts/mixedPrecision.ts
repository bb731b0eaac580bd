import type { Builder } from '../graph/builder.js';
import type { Graph, Node, Value } from '../graph/graph.js';
import { castToHalf } from '../graph/halfCasts.js';
import { halfBits, halfNumber } from '../onnx/float16.js';
import { floats } from '../onnx/tensor.js';
import { LOSS_SCALING, NEXT } from './manifest.js';

/** What multiplies matrices, where float16 is worth it. */
const MULTIPLYING: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);
/** What float16 is exact enough for where all that comes in is in it already. Sums over many, and what they are divided by, are not. */
const FOLLOWING: ReadonlySet<string> = new Set([
  ...['Add', 'Sub', 'Mul', 'Neg', 'Relu', 'LeakyRelu', 'Clip', 'Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'Gelu'],
  ...[
    'Identity',
    'Transpose',
    'Reshape',
    'Flatten',
    'Squeeze',
    'Unsqueeze',
    'Slice',
    'Split',
    'Concat',
    'Pad',
    'Gather',
  ],
  ...['Expand', 'Where', 'MaxPool', 'DepthToSpace', 'SpaceToDepth'],
]);

/** The graph of a training step with convolutions and products of matrices in float16, but for the nodes that are to stay `exact`. */
export function inMixedPrecision(graph: Graph, exact: ReadonlySet<Node>): Graph {
  return castToHalf(graph, (node, isHalf) => {
    if (node.domain !== '' || exact.has(node)) return false;
    if (MULTIPLYING.has(node.op)) return true;
    const floating = node.inputs.flatMap((input) => (input?.dtype === 'float32' ? [input] : []));
    return (
      FOLLOWING.has(node.op) &&
      floating.some(isHalf) &&
      floating.every((input) => isHalf(input) || isExactInHalf(input))
    );
  });
}

function isExactInHalf({ constant }: Value): boolean {
  return constant?.dtype === 'float32' && floats(constant).every((number) => halfNumber(halfBits(number)) === number);
}

/** What the loss is multiplied by at first, and after how many steps without an overflow it doubles, as PyTorch's GradScaler has it. */
const FIRST_SCALE = 2 ** 16;
const GROWTH_STEPS = 2000;

/** The state of loss scaling at first, by name: scalars. */
export const firstLossScaling: ReadonlyMap<string, number> = new Map([
  [LOSS_SCALING.scale, FIRST_SCALE],
  [LOSS_SCALING.steps, 0],
]);

/** The input for what the loss is multiplied by, so that small gradients stay above what float16 holds (Micikevicius et al. 2018). */
export const lossScaleInput = (g: Builder): Value => g.input(LOSS_SCALING.scale, 'float32', []);

/**
 * Appends what becomes of the scale: halved where a gradient has overflowed, doubled after enough steps without.
 * @returns whether all gradients are finite, a bool scalar: a step in which they are not changes nothing else.
 */
export function appendLossScaling(g: Builder, gradients: readonly Value[], scale = lossScaleInput(g)): Value {
  // Times 0, what is finite is 0, and all else is NaN.
  const zeros = gradients.map((gradient) => g.reduceSum(g.mul(gradient, g.scalar(0)), undefined, false));
  const sum = zeros.length === 1 ? (zeros[0] ?? g.scalar(0)) : g.op('Sum', zeros);
  const isFinite = g.equal(sum, g.scalar(0));
  const steps = g.add(g.input(LOSS_SCALING.steps, 'float32', []), g.scalar(1));
  const grows = g.equal(steps, g.scalar(GROWTH_STEPS));
  const grown = g.where(grows, g.mul(scale, g.scalar(2)), scale);
  g.output(LOSS_SCALING.scale + NEXT, g.where(isFinite, grown, g.mul(scale, g.scalar(0.5))));
  g.output(LOSS_SCALING.steps + NEXT, g.where(isFinite, g.where(grows, g.scalar(0), steps), g.scalar(0)));
  return isFinite;
}
