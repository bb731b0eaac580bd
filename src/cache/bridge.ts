import { clone, create } from '@bufbuild/protobuf';
import { Value } from '../graph/graph.js';
import { protoOfValue } from '../graph/proto.js';
import { readsOf } from '../onnx/captured.js';
import { GraphProtoSchema, type ModelProto, ModelProtoSchema, type NodeProto } from '../onnx/onnx_pb.js';
import type { Layout } from './featureStore.js';

/** The part of a frozen model that is left to run where rows of another policy are there already. */
export interface Bridge {
  readonly model: ModelProto;
  /** For each value of the other rows, what it is called in the frozen part, where it is needed: as an input of `model`, or as it is. */
  readonly inputs: readonly (string | undefined)[];
}

/**
 * What computes the values of `frozen` that are `wanted`, its input among them perhaps, from rows that are laid out as `layout`; undefined
 * where those do not suffice.
 * @param fingerprints of all values of `frozen`.
 */
export function bridgeFrom(
  frozen: ModelProto,
  fingerprints: ReadonlyMap<string, string>,
  { values }: Layout,
  wanted: readonly string[],
): Bridge | undefined {
  const { graph } = frozen;
  if (!graph) throw new Error('the model has no graph');
  const nameOf = new Map([...fingerprints].map(([name, fingerprint]) => [fingerprint, name]));
  const names = values.map(({ fingerprint }) => nameOf.get(fingerprint));
  const producers = new Map<string, NodeProto>(graph.node.flatMap((node) => node.output.map((name) => [name, node])));
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const needed = new Set(wanted);
  const nodes = new Set<NodeProto>();
  for (const name of needed) {
    if (names.includes(name) || constants.has(name) || name === '') continue;
    const node = producers.get(name);
    if (!node) return undefined;
    nodes.add(node);
    for (const input of readsOf(node)) needed.add(input);
  }
  if (nodes.size === 0) return undefined;
  const inputs = names.map((name) => (name !== undefined && needed.has(name) ? name : undefined));
  const model = clone(ModelProtoSchema, frozen);
  model.graph = create(GraphProtoSchema, {
    ...graph,
    node: graph.node.filter((node) => nodes.has(node)),
    initializer: graph.initializer.filter(({ name }) => needed.has(name)),
    output: graph.output.filter(({ name }) => !names.includes(name)),
    input: values.flatMap(({ dtype, shape }, index) => {
      const name = inputs[index];
      return name === undefined ? [] : [protoOfValue(new Value(name, dtype, [{ batch: 1 }, ...shape]), name)];
    }),
  });
  return { model, inputs };
}
