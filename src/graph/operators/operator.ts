import type { DType } from '../../onnx/tensor.js';
import type { Dim, Node, Shape } from '../graph.js';

/** What a shape rule is given. */
export interface ShapeContext {
  readonly node: Node;
  /** The shape of input `index`. @throws Error when it is unknown. */
  readonly shape: (index: number) => Shape;
  /** The integers of input `index`, or undefined when they are not known. */
  readonly numbers: (index: number) => readonly Dim[] | undefined;
}

/** What is true of an operator, wherever it stands: all that ort-tl knows of it but its gradient, which is a rule in `autodiff/`. */
export interface Operator {
  readonly op: string;
  /** The domains that have it; the standard one, `''`, unless said. */
  readonly domains?: readonly string[];

  /** How many inputs it cannot do without, counted from the first; those behind them are optional. 1 unless said. */
  readonly required?: number;
  /** Whether its inputs are all of one element type. */
  readonly isOfOneType?: true;
  /** Whether it stretches its inputs to each other's shapes: their gradients are summed over what was stretched. */
  readonly broadcasts?: true;
  /** Inputs that hold shapes, places or counts (operator set 13 and later). */
  readonly integerInputs?: readonly number[];
  /** Inputs that hold biases, scales and shifts: one number for each channel. */
  readonly vectors?: readonly number[];
  /**
   * Checks of a node from a model file what ONNX says of the operator beyond the facts above, so that gradient rules can rely on it.
   * @throws Error with the reason.
   */
  readonly check?: (node: Node) => void;

  /** The shape of its outputs; undefined where it cannot be told. Without `shape` and `shapes`, ort-tl cannot tell it at all. */
  readonly shape?: (context: ShapeContext) => Shape | undefined;
  /** The shape of each output, where they differ. */
  readonly shapes?: (context: ShapeContext) => readonly Shape[] | undefined;
  /** The element type of its outputs; that of input 0 unless said. */
  readonly dtype?: (node: Node) => DType | undefined;
  /** The element types of the outputs behind the first, where they differ from its. */
  readonly otherDTypes?: readonly DType[];
  /** The integers that it computes, where ort-tl can follow them: arithmetic on shapes. */
  readonly integers?: (context: ShapeContext) => readonly Dim[] | undefined;

  /**
   * How it computes what a pass over memory does: `elementwise` each element of one input for itself, `pairwise` each element of two
   * for itself, one of them possibly stretched. Such are run on rows as on maps, and again in the backward pass to save memory.
   */
  readonly works?: 'elementwise' | 'pairwise';
  /** Whether a node pools a map [N, C, H, W] over all its places. */
  readonly poolsPlaces?: (node: Node) => boolean;
  /** Multiply-adds for a batch of `batch`; unless said, one for each element of its input or output, whichever has more. */
  readonly multiplyAdds?: (node: Node, batch: number) => number;
  /** Whether its result is its input's memory, as ONNX Runtime does it. */
  readonly isAlias?: true;
  /** Whether its result is its input where nothing is trained, so that it can go. */
  readonly passesOn?: true;

  /** Whether ONNX Runtime's CPU provider computes it in whole numbers, or only moves them. */
  readonly inWholeNumbers?: true;
  /** Whether it cuts off what the range of its result does not have: then a quantized result needs no node for it. */
  readonly cutsOff?: true;
  /** The axis of its weight, input 1, that counts the channels of its result; absent where it has no weight. */
  readonly channelAxis?: (node: Node) => number;

  /** The inputs behind the first, where they were attributes before operator set `until`: these attributes, in the inputs' order. */
  readonly onceAttributes?: {
    readonly until: number;
    readonly kinds: Readonly<Record<string, 'int' | 'ints' | 'float'>>;
  };
  /** Attributes that came with an operator set, and the value at which they say what went without saying before. */
  readonly laterAttributes?: Readonly<Record<string, { readonly since: number; readonly usual: number }>>;
  /** Whether, before operator set 13, it counted its axis and all behind it as one. */
  readonly onceFlattened?: true;
  /**
   * Rewrites a node of operator set `from` so that it means the same in a canonical one, once `onceAttributes` are inputs.
   * @throws UserError `unsupported-operator` where that cannot be said.
   */
  readonly upgrade?: (node: Node, from: number) => void;
}
