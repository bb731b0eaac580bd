import { at, whole } from './dims.js';
import { describe, type Node, type Shape } from './graph.js';

/** The static geometry of a convolution or a pooling. */
export interface ConvGeometry {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins of every spatial axis, then ends; `auto_pad` is resolved. */
  readonly pads: readonly number[];
  readonly group: number;
}

/** A convolution's or pooling's geometry, `auto_pad` resolved for its input's size. @throws Error where that is not known. */
export function convGeometry(node: Node): ConvGeometry {
  const kernel =
    node.ints('kernel_shape') ?? (node.input(1).shape ?? []).slice(2).map((dim) => (typeof dim === 'number' ? dim : 0));
  const ones = kernel.map(() => 1);
  const strides = node.ints('strides') ?? ones;
  const dilations = node.ints('dilations') ?? ones;
  const unpadded = { kernel, strides, dilations, group: node.int('group', 1) };
  return { ...unpadded, pads: padsOf(node, unpadded) };
}

type Unpadded = Omit<ConvGeometry, 'pads'>;

function padsOf(node: Node, unpadded: Unpadded): readonly number[] {
  const size = (node.input(0).shape ?? []).slice(2);
  const automatic = node.string('auto_pad', 'NOTSET');
  if (node.op === 'ConvTranspose' && (automatic.startsWith('SAME') || node.ints('output_shape')))
    return split(node, transposedTotals(node, unpadded, size));
  if (automatic === 'SAME_UPPER' || automatic === 'SAME_LOWER') return split(node, sameTotals(node, unpadded, size));
  const zeros = [...unpadded.kernel, ...unpadded.kernel].map(() => 0);
  return automatic === 'VALID' ? zeros : (node.ints('pads') ?? zeros);
}

/** How much each spatial axis is padded so that there is an output for every stride. */
function sameTotals(node: Node, { kernel, strides, dilations }: Unpadded, size: Shape): number[] {
  return kernel.map((k, axis) => {
    const length = size[axis];
    const stride = at(strides, axis);
    if (typeof length !== 'number')
      throw new Error(`${describe(node)} pads by the size of its input, which is not known`);
    return Math.max(0, (Math.ceil(length / stride) - 1) * stride + at(dilations, axis) * (k - 1) + 1 - length);
  });
}

/** How much a ConvTranspose cuts off so that its output gets the stated size, or else the stride times its input's. */
function transposedTotals(node: Node, { kernel, strides, dilations }: Unpadded, size: Shape): number[] {
  const extra = node.ints('output_padding') ?? kernel.map(() => 0);
  return kernel.map((k, axis) => {
    const length = whole(node, size[axis]);
    const reach = (length - 1) * at(strides, axis) + at(dilations, axis) * (k - 1) + 1 + at(extra, axis);
    return Math.max(0, reach - (node.ints('output_shape')?.[axis] ?? length * at(strides, axis)));
  });
}

/** Totals as begins and ends; what is left over of an odd one goes to the end for SAME_UPPER, to the begin otherwise. */
function split(node: Node, totals: readonly number[]): number[] {
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return node.string('auto_pad', 'NOTSET') === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
}
