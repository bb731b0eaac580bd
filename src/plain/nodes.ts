import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from '../onnx/onnx_pb.js';
import { tensorOfProto, toNumbers } from '../onnx/tensor.js';
import { readsOf, renameReads } from '../onnx/captured.js';
import { nodeOf } from './draft.js';

// What changes of a model look at in its nodes.

export const isStandard = ({ domain }: NodeProto): boolean => domain === '' || domain === 'ai.onnx';

/** Whether a node is one of these standard operators. */
export const isOneOf = (node: NodeProto, ...operators: readonly string[]): boolean =>
  isStandard(node) && operators.includes(node.opType);

/** How messages name a node. */
export const shown = ({ name, output, opType }: NodeProto): string =>
  `node "${name || (output[0] ?? '?')}" (${opType})`;

export function attributeOf({ attribute }: NodeProto, name: string): AttributeProto | undefined {
  return attribute.find((each) => each.name === name);
}

export function intOf(node: NodeProto, name: string, usual: number): number {
  const attribute = attributeOf(node, name);
  return attribute ? Number(attribute.i) : usual;
}

export function intsOf(node: NodeProto, name: string): number[] | undefined {
  return attributeOf(node, name)?.ints.map(Number);
}

export const intAttribute = (name: string, value: number): AttributeProto =>
  create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });

/** The node that writes each value. */
export function producersOf({ node }: GraphProto): Map<string, NodeProto> {
  return new Map(
    node.flatMap((each) => each.output.filter((name) => name !== '').map((name) => [name, each] as const)),
  );
}

/** The nodes that read each value, also those whose graphs within do. */
export function readersOf({ node }: GraphProto): Map<string, NodeProto[]> {
  const readers = new Map<string, NodeProto[]>();
  for (const each of node)
    for (const name of new Set(readsOf(each))) readers.set(name, [...(readers.get(name) ?? []), each]);
  return readers;
}

/** The constants of a graph: initializers, and what Constant nodes hold in tensors. */
export function constantsOf({ initializer, node }: GraphProto): Map<string, TensorProto> {
  const constants = new Map(initializer.map((tensor) => [tensor.name, tensor]));
  for (const each of node) {
    const tensor = isOneOf(each, 'Constant') ? attributeOf(each, 'value')?.t : undefined;
    if (tensor && each.output[0] !== undefined) constants.set(each.output[0], tensor);
  }
  return constants;
}

/** The numbers of a constant; undefined for what is none, or holds no numbers. */
export function numbersOf(tensor: TensorProto | undefined): number[] | undefined {
  if (!tensor) return undefined;
  try {
    return toNumbers(tensorOfProto(tensor));
  } catch {
    return undefined;
  }
}

/** The inputs that a program has to give: those without an initializer. */
export function givenInputs({ input, initializer }: GraphProto): ValueInfoProto[] {
  const constants = new Set(initializer.map(({ name }) => name));
  return input.filter(({ name }) => !constants.has(name));
}

/** The image, where a model takes nothing else. */
export function imageOf(graph: GraphProto): ValueInfoProto | undefined {
  const inputs = givenInputs(graph);
  return inputs.length === 1 ? inputs[0] : undefined;
}

/** Has whoever reads a value read another; outputs of the graph keep their names. */
export function replaceReads(graph: GraphProto, names: ReadonlyMap<string, string>): void {
  for (const node of graph.node) renameReads(node, (name) => resolved(names, name));
}

/** What stands for a value in the end, where what stands for it is replaced itself. */
function resolved(names: ReadonlyMap<string, string>, name: string): string {
  let last = name;
  for (let next = names.get(last); next !== undefined; next = names.get(last)) last = next;
  return last;
}

/** The nodes of which a value is made, in their order; those that others' graphs within read too. */
export function nodesBefore(graph: GraphProto, values: Iterable<string>): NodeProto[] {
  const needed = new Set(values);
  const producers = producersOf(graph);
  const found = new Set<NodeProto>();
  for (const name of needed) {
    const node = producers.get(name);
    if (!node || found.has(node)) continue;
    found.add(node);
    for (const input of readsOf(node)) needed.add(input);
  }
  return graph.node.filter((node) => found.has(node));
}

/** A value's dimensions as the file states them: a number, a name, or nothing; undefined where it states no shape. */
export function dimsOf(info: ValueInfoProto | undefined): (number | string | undefined)[] | undefined {
  return info?.type?.tensorType?.shape?.dim.map(({ value }) =>
    value.case === 'dimValue' && value.value > 0n
      ? Number(value.value)
      : value.case === 'dimParam'
        ? value.value
        : undefined,
  );
}

/** A shape in words. */
export const shownDims = (dims: readonly (number | string | undefined)[] | undefined): string =>
  dims ? `[${dims.map((dim) => dim ?? '?').join(', ')}]` : 'of a shape that the file does not state';

/** Takes out nodes, whose first output is what `passing` says; where that is an output of the graph, an Identity gives it. */
export function passOn(graph: GraphProto, passing: ReadonlyMap<NodeProto, string>): void {
  const outputs = new Set(graph.output.map(({ name }) => name));
  const names = new Map<string, string>();
  graph.node = graph.node.flatMap((node) => {
    const from = passing.get(node);
    const [output = ''] = node.output;
    if (from === undefined) return [node];
    if (outputs.has(output)) return [nodeOf('Identity', [from], output)];
    names.set(output, from);
    return [];
  });
  replaceReads(graph, names);
}
