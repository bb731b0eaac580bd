import { Builder } from '../graph/builder.js';
import type { Graph, Value } from '../graph/graph.js';
import { lower } from '../graph/lower.js';
import { fromKept } from './boundary.js';
import type { FilledOptions } from './compileOptions.js';
import { STEP_OUTPUTS } from './manifest.js';
import type { Split } from './splitGraph.js';

/** From the boundary and the state that it reads to the logits, for any batch. */
export function evaluationGraph(
  source: Graph,
  { cut, kept, rows, parameters, averages }: Split,
  blockSize: FilledOptions['blockSize'],
): Graph {
  const g = new Builder(source.opset, blockSize);
  const given = new Map<Value, Value>();
  for (const each of kept) {
    const { name, dtype = 'float32', shape = [] } = each.value;
    given.set(each.source, fromKept(g, each, g.input(name, dtype, shape)));
  }
  for (const value of [...parameters, ...averages])
    given.set(value, g.input(value.name, value.dtype ?? 'float32', value.shape ?? []));
  const at = lower(g, cut.trained, given, new Map(), rows);
  source.outputs.forEach((output) => g.output(STEP_OUTPUTS.logits, at(output)));
  return g.graph;
}
