import type { Builder } from '../graph/builder.js';
import type { Node, Value } from '../graph/graph.js';

/** The node that a rule is for, its values in the training graph, and the builder that appends to that graph. */
interface NodeContext {
  readonly node: Node;
  /** Input `index`, which the operator requires. */
  readonly input: (index: number) => Value;
  readonly output: (index?: number) => Value;
  readonly g: Builder;
}

export interface RuleContext extends NodeContext {
  /** The gradient of the loss with respect to output 0, of that output's shape. */
  readonly dy: Value;
}

export interface AllOutputsContext extends NodeContext {
  /** The gradient of the loss with respect to each output, `undefined` where none flows. */
  readonly dOutputs: readonly (Value | undefined)[];
}

/**
 * A gradient for one input, built only when that input needs one: of the input's shape, or, where the operator broadcasts, of a
 * shape that the input is stretched to. `differentiate` sums it over what was stretched.
 */
export type GradientThunk = () => Value | Scaled;

/** One thunk for each input, in order; `undefined` where the operator has no gradient (a shape, indices). */
export type Gradients = readonly (GradientThunk | undefined)[];

/** `factor` times a gradient, multiplied once that is summed, when there is less to multiply. */
export interface Scaled {
  readonly gradient: Value;
  readonly factor: number;
}

export const scaled = (gradient: Value, factor: number): Scaled => ({ gradient, factor });

interface OperatorName {
  readonly op: string;
  /** `''`, the standard operators, unless said. */
  readonly domain?: string;
}

/** A rule that reads the gradient of the first output alone; `differentiate` refuses a node of which another has one. */
export interface FirstOutputRule extends OperatorName {
  readonly gradients: (context: RuleContext) => Gradients;
}

/** A rule that reads the gradients of all outputs. */
export interface AllOutputsRule extends OperatorName {
  readonly gradientsOfAll: (context: AllOutputsContext) => Gradients;
}

export type GradientRule = FirstOutputRule | AllOutputsRule;
