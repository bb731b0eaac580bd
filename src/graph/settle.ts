import { refuseFlattenedSoftmax } from './canonical.js';
import { foldIntegers } from './foldIntegers.js';
import { decomposeFused } from './fused/decomposeFused.js';
import type { Graph } from './graph.js';
import { simplify } from './simplify.js';
import { unrollStandardization } from './standardize.js';

/**
 * Takes the canonical graph of a source model to the form that is trained and quantized, whose values have their names in both: it works on
 * any number of images, and each value has its shape. `from` is the file's operator set, `batch` the number of images that it states.
 * @throws UserError `bad-model`; `fixed-batch` for a model that works on a fixed number and cannot be rewritten; `unsupported-operator`.
 */
export function settle(graph: Graph, from: number, batch: number | undefined): void {
  decomposeFused(graph, batch ?? 1);
  simplify(graph, { batch });
  foldIntegers(graph);
  unrollStandardization(graph);
  refuseFlattenedSoftmax(graph, from);
}
