import type { Node, Value } from '../graph/graph.js';

/** A layer that a policy can choose: its operator, and the parameters that train with it. */
export interface Layer {
  /**
   * A `norm` is a normalization that follows no convolution, as DenseNet and ConvNeXt have them, an `other` what else has parameters (a
   * slope, a position embedding, a scale); `F{x}C{y}` counts neither.
   */
  readonly kind: 'fc' | 'conv' | 'norm' | 'other';
  readonly name: string;
  readonly node: Node;
  /** What it writes, its bias and its BatchNormalization included. */
  readonly output: Value;
  /** Its weight, bias, scale and shift, in this order, as far as it has them. */
  readonly parameters: readonly Value[];
  /** The last of them that is added: its bias, or the shift of its normalization, which makes a bias redundant. */
  readonly shift: Value | undefined;
  /** The BatchNormalization that belongs to it. */
  readonly norm: Node | undefined;
}
