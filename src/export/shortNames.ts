import type { ModelProto } from '../onnx/onnx_pb.js';
import { sharing } from '../onnx/sharing.js';

/** Operators that are there for the numbers' sake, and are called nothing. */
const UNNAMED: ReadonlySet<string> = new Set(['Cast', 'DequantizeLinear', 'QuantizeLinear']);

/**
 * Gives what flows within the model's graph names of a few letters, for in a model in int8 they take more room than
 * its scales. Inputs, outputs and operators keep theirs, but for QuantizeLinear and DequantizeLinear.
 */
export function shortenNames({ graph }: ModelProto): void {
  if (!graph) return;
  const kept = new Set(['', ...[...graph.input, ...graph.output].map(({ name }) => name)]);
  const short = new Map<string, string>();
  let count = 0;
  const shortened = (name: string): string => {
    if (kept.has(name)) return name;
    let found = short.get(name);
    if (found === undefined) {
      do found = `v${(count++).toString(36)}`;
      while (kept.has(found));
      short.set(name, found);
    }
    return found;
  };
  for (const node of graph.node) {
    if (UNNAMED.has(node.opType)) node.name = '';
    node.input = node.input.map(shortened);
    node.output = node.output.map(shortened);
  }
  graph.initializer = graph.initializer.map((tensor) => sharing(tensor, { name: shortened(tensor.name) }));
}
