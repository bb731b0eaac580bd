import { type Graph, ints, Node, Value } from '../graph/graph.js';

/** What transformers.js calls what a classifier takes and gives. */
export const PIXEL_VALUES = 'pixel_values';
const LOGITS = 'logits';

/** Operators that leave numbers as they are. */
const PASSING: ReadonlySet<string> = new Set(['Cast', 'Flatten', 'Identity', 'Reshape', 'Squeeze']);

/** The graph with `logits` as its one output: those before the Softmax, where it ends in one. */
export function givingLogits(graph: Graph): Graph {
  const [scores] = graph.outputs;
  if (!scores) throw new Error('the graph has no output');
  let last = scores.producer;
  while (last && PASSING.has(last.op)) last = last.input(0).producer;
  const nodes = graph.nodes.map((node) =>
    node === last && node.op === 'Softmax' ? node.with({ op: 'Identity', attributes: new Map() }) : node,
  );
  freeName(graph, LOGITS);
  const logits = new Value(LOGITS, 'float32', scores.shape);
  nodes.push(new Node({ op: 'Identity', name: 'transformers_js/logits', inputs: [scores], outputs: [logits] }));
  return { ...graph, nodes, outputs: [logits] };
}

/** The graph with `pixel_values`, [N, 3, H, W], as its input. */
export function takingPixelValues(graph: Graph): Graph {
  const [image] = graph.inputs;
  const shape = image?.shape;
  if (!image || shape?.length !== 4) throw new Error('the graph takes no image');
  freeName(graph, PIXEL_VALUES);
  const name = 'transformers_js/pixel_values';
  const [n = 1, ...rest] = shape;
  const isFirst = rest[0] === 3;
  const planes = new Value(PIXEL_VALUES, 'float32', isFirst ? shape : [n, 3, rest[0] ?? 1, rest[1] ?? 1]);
  const before = isFirst
    ? new Node({ op: 'Identity', name, inputs: [planes], outputs: [image] })
    : new Node({
        op: 'Transpose',
        name,
        inputs: [planes],
        outputs: [image],
        attributes: new Map([['perm', ints([0, 2, 3, 1])]]),
      });
  return { ...graph, inputs: [planes], nodes: [before, ...graph.nodes] };
}

/** Gives what is called so another name. */
function freeName(graph: Graph, name: string): void {
  const values = [...graph.inputs, ...graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs])];
  for (const value of new Set(values)) if (value?.name === name) value.name = `${name}/within`;
}
