import type { Layer } from './layer.js';
import type { LoraPolicy } from './loraPolicy.js';
import type { Matrix } from './matrices.js';

/** What a policy makes of a model. */
export interface LayerChoice {
  /** From input to head, each with those of its parameters that train. */
  readonly layers: readonly Layer[];
  /** What the user did not ask for in so many words. */
  readonly notes: readonly string[];
  /** What the user may not have wanted. */
  readonly warnings: readonly string[];
  /** Where layers stay as they are, and what trains is beside their matrices; these are what `layers` has of them. */
  readonly lora?: { readonly policy: LoraPolicy; readonly matrices: readonly Matrix[] };
}
