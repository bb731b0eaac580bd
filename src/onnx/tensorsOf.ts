import type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto } from './onnx_pb.js';

/** The graphs in attributes of a node: branches, bodies of loops. */
export function subgraphsOf({ attribute }: NodeProto): GraphProto[] {
  return attribute.flatMap(({ g, graphs }) => [...(g ? [g] : []), ...graphs]);
}

/** Nodes and those of the graphs in their attributes. */
export function* allNodes(nodes: readonly NodeProto[]): Generator<NodeProto> {
  for (const node of nodes) {
    yield node;
    for (const graph of subgraphsOf(node)) yield* allNodes(graph.node);
  }
}

/** The graph of a model, those in attributes of its nodes and of its functions' nodes. */
export function* allGraphs({ graph, functions }: ModelProto): Generator<GraphProto> {
  if (graph) yield graph;
  for (const node of allNodes([...(graph?.node ?? []), ...functions.flatMap((each) => each.node)]))
    yield* subgraphsOf(node);
}

function attributesOf(model: ModelProto): AttributeProto[] {
  const nodes = [...(model.graph?.node ?? []), ...model.functions.flatMap((each) => each.node)];
  const defaults = model.functions.flatMap(({ attributeProto }) => attributeProto);
  return [...defaults, ...[...allNodes(nodes)].flatMap(({ attribute }) => attribute)];
}

/** Every tensor of a model: initializers, those of Constant nodes and of other attributes, in sub-graphs and functions too. */
export function tensorsOf(model: ModelProto): TensorProto[] {
  return [
    ...[...allGraphs(model)].flatMap(({ initializer }) => initializer),
    ...attributesOf(model).flatMap(({ t, tensors }) => [...(t ? [t] : []), ...tensors]),
  ];
}

/** Puts what `change` makes of each tensor of a model in its place. */
export function replaceTensors(model: ModelProto, change: (tensor: TensorProto) => TensorProto): void {
  for (const graph of allGraphs(model)) graph.initializer = graph.initializer.map(change);
  for (const attribute of attributesOf(model)) {
    if (attribute.t) attribute.t = change(attribute.t);
    if (attribute.tensors.length > 0) attribute.tensors = attribute.tensors.map(change);
  }
}
