import type { Builder } from '../graph/builder.js';
import type { Node, Value } from '../graph/graph.js';

/** What a rule is given: the node, its values in the training graph, and the builder that appends to that graph. */
export interface RuleContext {
  readonly node: Node;
  /** Input `index`, which the operator requires. */
  readonly input: (index: number) => Value;
  readonly output: (index?: number) => Value;
  /** The gradient of the loss with respect to output 0, of that output's shape. */
  readonly dy: Value;
  /** Gradients with respect to every output; `undefined` where none flows. */
  readonly dOutputs: readonly (Value | undefined)[];
  readonly g: Builder;
}

/** A gradient for one input, built only when that input needs one. */
export type GradientThunk = () => Value;

export interface GradientRule {
  readonly op: string;
  /** `''`, the standard operators, unless said. */
  readonly domain?: string;
  /** Whether the rule reads the gradients of all outputs; one that does not is refused where another than output 0's flows. */
  readonly ofAllOutputs?: true;
  /** One thunk for each input, in order; `undefined` where the operator has no gradient (a shape, indices). */
  readonly gradients: (context: RuleContext) => readonly (GradientThunk | undefined)[];
}
