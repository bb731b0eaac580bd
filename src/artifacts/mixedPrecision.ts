import type { Builder } from '../graph/builder.js';
import type { Graph, Node, Value } from '../graph/graph.js';
import { castToHalf } from '../graph/halfCasts.js';
import { halfBits, halfNumber } from '../onnx/float16.js';
import { floats } from '../onnx/tensor.js';
import { FIRST_LOSS_SCALE } from '../optim/lossScaling.js';
import { LOSS_SCALING } from './manifest.js';

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

/** The state of loss scaling at first, by name: scalars. */
export const firstLossScaling: ReadonlyMap<string, number> = new Map([
  [LOSS_SCALING.scale, FIRST_LOSS_SCALE],
  [LOSS_SCALING.steps, 0],
]);

/** The input for what the loss is multiplied by, so that small gradients stay above what float16 holds (Micikevicius et al. 2018). */
export const lossScaleInput = (g: Builder): Value => g.input(LOSS_SCALING.scale, 'float32', []);
