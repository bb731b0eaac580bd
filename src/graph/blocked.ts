import type { Builder } from './builder.js';
import type { ConvGeometry } from './convGeometry.js';
import { BLOCKED } from './domains.js';
import { type Attribute, int, ints, type Node, type Value } from './graph.js';

/** Whether a convolution of `channels` channels, as many kernels and groups, can be blocked: one channel at a time, in planes. */
export function isBlockable(g: Builder, { kernel, group }: ConvGeometry, channels: number, kernels: number): boolean {
  const { blockSize } = g;
  return (
    blockSize !== undefined &&
    kernel.length === 2 &&
    group > 1 &&
    group === channels &&
    group === kernels &&
    channels % blockSize === 0
  );
}

/** Depthwise weights [C, 1, h, w] as the blocked operator wants them, [C / B, h, w, B] in memory. */
function blockedWeights(g: Builder, weight: Value, channels: number, kernel: readonly number[]): Value {
  const [size, taps] = [g.blockSize ?? 1, area(kernel)];
  const blocks = g.reshape(weight, [channels / size, size, taps]);
  return g.reshape(g.transpose(blocks, [0, 2, 1]), [channels, 1, ...kernel]);
}

/** {@link blockedWeights}, undone. */
export function plainWeights(g: Builder, weight: Value, channels: number, kernel: readonly number[]): Value {
  const [size, taps] = [g.blockSize ?? 1, area(kernel)];
  const blocks = g.reshape(weight, [channels / size, taps, size]);
  return g.reshape(g.transpose(blocks, [0, 2, 1]), [channels, 1, ...kernel]);
}

/** A blocked tensor, of `x`; where `x` was one before, that. */
export function toBlocked(g: Builder, x: Value): Value {
  const { producer } = x;
  if (producer?.op === 'ReorderOutput' && producer.domain === BLOCKED) return producer.input(0);
  return g.op('ReorderInput', [x], {}, { domain: BLOCKED });
}

/** The tensor that a blocked one stands for. */
export function fromBlocked(g: Builder, x: Value, channels: number): Value {
  const { producer } = x;
  if (producer?.op === 'ReorderInput' && producer.domain === BLOCKED) return producer.input(0);
  return g.op('ReorderOutput', [x], { channels: int(channels) }, { domain: BLOCKED });
}

/** A depthwise convolution of a blocked tensor with blocked weights. */
export function blockedConv(
  g: Builder,
  inputs: readonly Value[],
  { kernel, strides, dilations, pads, group }: ConvGeometry,
  name?: string,
): Value {
  const attributes: Record<string, Attribute> = {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints(pads),
    group: int(group),
  };
  return g.op('Conv', inputs, attributes, { domain: BLOCKED, ...(name === undefined ? {} : { name }) });
}

/** A depthwise convolution of x [N, C, H, W] with weights [C, 1, h, w], computed in the blocked layout. */
export function depthwise(
  g: Builder,
  node: Node,
  geometry: ConvGeometry,
  [x, weight, bias]: readonly [Value, Value, Value | undefined],
): Value {
  const channels = geometry.group;
  const weights = blockedWeights(g, weight, channels, geometry.kernel);
  const inputs = [toBlocked(g, x), weights, ...(bias ? [bias] : [])];
  return fromBlocked(g, blockedConv(g, inputs, geometry, g.uniqueName(node.name)), channels);
}

const area = (kernel: readonly number[]) => kernel.reduce((product, side) => product * side, 1);
