import { clone, create } from '@bufbuild/protobuf';
import { UserError } from '../errors.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type TensorShapeProto_Dimension,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.js';
import { capturedBy, renameReads } from '../onnx/captured.js';
import { opsetOf } from '../onnx/model.js';
import {
  dtypeCode,
  dtypeOfCode,
  floatTensor,
  intTensor,
  nearestNumber,
  protoOfTensor,
  type Tensor,
  tensorOfProto,
} from '../onnx/tensor.js';
import { type Attribute, type Attributes, type Dim, describe, type Graph, Node, Value } from './graph.js';
import { sortTopologically } from './order.js';
import { infersShapeOf } from './shapes.js';
import { inputType } from './inputType.js';

/** `AttributeProto.AttributeType` (onnx.proto). */
const attributeTypes = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

/**
 * The graph of a model. The first dimension of every input is taken for the batch, whatever the file says of it.
 * `imageSize` [height, width] stands in for spatial dimensions that the file leaves open.
 * @throws UserError for a cyclic graph, inputs that are no tensors, or tensors of types that cannot be trained with.
 */
export function graphOfModel(proto: ModelProto, imageSize?: readonly [number, number]): Graph {
  const source = proto.graph;
  if (!source) throw new Error('the model has no graph');
  const values = new Map<string, Value>();
  for (const initializer of source.initializer)
    values.set(initializer.name, constantOfProto(initializer.name, initializer));

  const inputs: Value[] = [];
  const written = new Set<Value>(values.values());
  for (const info of source.input) {
    if (values.has(info.name)) continue;
    const value = new Value(info.name, ...inputType(info, imageSize));
    values.set(info.name, value);
    inputs.push(value);
    written.add(value);
  }

  const valueOf = (name: string): Value => {
    let value = values.get(name);
    if (!value) values.set(name, (value = new Value(name)));
    return value;
  };
  const write = (value: Value): void => {
    if (written.has(value))
      throw new UserError('not-onnx', `two nodes of the model write "${value.name}"; the file is damaged`);
    written.add(value);
  };
  const nodes: Node[] = [];
  for (const node of source.node) {
    const domain = node.domain === 'ai.onnx' ? '' : node.domain;
    if (node.opType === 'Constant' && domain === '') {
      const name = node.output[0] ?? '';
      const value = valueOf(name);
      write(value);
      value.constant = constantOfNode(node);
      value.isInline = true;
      value.dtype = value.constant.dtype;
      value.shape = value.constant.dims;
      continue;
    }
    const outputs = node.output.map((name) => (name === '' ? undefined : valueOf(name)));
    for (const output of outputs) if (output) write(output);
    const name = node.name || (node.output[0] ?? '');
    const captured = capturedBy(node);
    const graphNode = new Node({
      op: node.opType,
      domain,
      name,
      inputs: [...node.input, ...captured].map((input) => (input === '' ? undefined : valueOf(input))),
      outputs,
      attributes: attributesOf(node.attribute),
      captured: captured.length,
    });
    nodes.push(graphNode);
  }
  for (const node of nodes) {
    for (const input of node.inputs) {
      if (input && !written.has(input)) {
        throw new UserError(
          'not-onnx',
          `${describe(node)} reads "${input.name}", which nothing writes; the file is damaged`,
        );
      }
    }
  }
  const [batch] = source.input.find(({ name }) => name === inputs[0]?.name)?.type?.tensorType?.shape?.dim ?? [];
  for (const info of [...source.valueInfo, ...source.output]) {
    const value = values.get(info.name);
    if (value?.producer && !infersShapeOf(value.producer)) believe(value, info, batch?.value);
  }
  const outputs = source.output.map(({ name }) => {
    const value = values.get(name);
    if (!value || !written.has(value))
      throw new UserError('not-onnx', `output "${name}" of the model is written by no node; the file is damaged`);
    return value;
  });
  return { opset: opsetOf(proto), inputs, outputs, nodes: sortTopologically(nodes) };
}

/** How many images a model's file says that it takes at once; undefined where it leaves that open. */
export function statedBatch({ graph }: ModelProto, input: string): number | undefined {
  const [batch] = graph?.input.find(({ name }) => name === input)?.type?.tensorType?.shape?.dim ?? [];
  return batch?.value.case === 'dimValue' && batch.value.value > 0n ? Number(batch.value.value) : undefined;
}

function constantOfProto(name: string, proto: TensorProto): Value {
  const tensor = tensorOfProto(proto);
  const value = new Value(name, tensor.dtype, tensor.dims);
  value.constant = tensor;
  return value;
}

/** What a Constant node holds, in any form of its attribute. @throws UserError `unsupported-dtype` for strings and sparse tensors. */
export function constantOfNode({ name, output, attribute: [proto] }: NodeProto): Tensor {
  const attribute = proto && attributeOf(proto);
  switch (attribute?.kind) {
    case 'tensor':
      return attribute.value;
    case 'float':
      return floatTensor([], [attribute.value]);
    case 'floats':
      return floatTensor([attribute.value.length], attribute.value);
    case 'int':
      return intTensor([], [attribute.value]);
    case 'ints':
      return intTensor([attribute.value.length], attribute.value);
    default:
      throw new UserError(
        'unsupported-dtype',
        `node "${name || (output[0] ?? '')}" (Constant) holds ${proto ? `its value as \`${proto.name}\`` : 'no value'}, and ort-tl reads numbers in a dense tensor; export the model anew`,
      );
  }
}

/**
 * Takes from the file the type and shape of what an operator gives that ort-tl does not know; `batch` is what the file says
 * of its input's first dimension.
 */
function believe(value: Value, info: ValueInfoProto, batch: TensorShapeProto_Dimension['value'] | undefined): void {
  const type = info.type?.tensorType;
  const dtype = type && dtypeOfCode(type.elemType);
  const images = batch?.case === 'dimValue' ? Number(batch.value) : undefined;
  const shape = type?.shape?.dim.map(({ value: dim }, axis): Dim | undefined => {
    if (dim.case !== 'dimValue') return axis === 0 ? { batch: 1 } : undefined;
    const count = Number(dim.value);
    return axis === 0 && images !== undefined && count % images === 0 ? { batch: count / images } : count;
  });
  const isWhole = (dims: readonly (Dim | undefined)[]): dims is Dim[] => dims.every((dim) => dim !== undefined);
  if (!dtype || !shape || !isWhole(shape)) return;
  value.dtype = dtype;
  value.shape = shape;
}

function attributesOf(protos: readonly AttributeProto[]): Attributes {
  return new Map(protos.map((proto) => [proto.name, attributeOf(proto)]));
}

function attributeOf(proto: AttributeProto): Attribute {
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  switch (proto.type) {
    case attributeTypes.float:
      return { kind: 'float', value: proto.f };
    case attributeTypes.int:
      return { kind: 'int', value: nearestNumber(proto.i) };
    case attributeTypes.string:
      return { kind: 'string', value: decode(proto.s) };
    case attributeTypes.tensor:
      return proto.t ? { kind: 'tensor', value: tensorOfProto(proto.t) } : { kind: 'raw', value: proto };
    case attributeTypes.floats:
      return { kind: 'floats', value: proto.floats };
    case attributeTypes.ints:
      return { kind: 'ints', value: proto.ints.map(nearestNumber) };
    case attributeTypes.strings:
      return { kind: 'strings', value: proto.strings.map(decode) };
    default:
      return { kind: 'raw', value: proto };
  }
}

function protoOfAttribute(name: string, attribute: Attribute): AttributeProto {
  const encode = (value: string) => new TextEncoder().encode(value);
  switch (attribute.kind) {
    case 'float':
      return create(AttributeProtoSchema, { name, type: attributeTypes.float, f: attribute.value });
    case 'int':
      return create(AttributeProtoSchema, { name, type: attributeTypes.int, i: BigInt(attribute.value) });
    case 'string':
      return create(AttributeProtoSchema, { name, type: attributeTypes.string, s: encode(attribute.value) });
    case 'tensor':
      return create(AttributeProtoSchema, { name, type: attributeTypes.tensor, t: protoOfTensor('', attribute.value) });
    case 'floats':
      return create(AttributeProtoSchema, { name, type: attributeTypes.floats, floats: [...attribute.value] });
    case 'ints':
      return create(AttributeProtoSchema, { name, type: attributeTypes.ints, ints: attribute.value.map(BigInt) });
    case 'strings':
      return create(AttributeProtoSchema, { name, type: attributeTypes.strings, strings: attribute.value.map(encode) });
    case 'raw':
      return attribute.value as AttributeProto;
  }
}

export function protoOfValue(value: Value, name: string): ValueInfoProto {
  const dim = value.shape?.map((d) =>
    typeof d === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(d) } }
      : { value: { case: 'dimParam' as const, value: d.batch === 1 ? 'N' : `${d.batch}N` } },
  );
  const elemType = dtypeCode(value.dtype ?? 'float32');
  return create(ValueInfoProtoSchema, {
    name,
    type: { tensorType: { elemType, ...(dim ? { shape: { dim } } : {}) } },
  });
}

/** A graph as a model file that ONNX Runtime loads; constants that the nodes read become initializers. */
export function modelOfGraph(graph: Graph, name: string): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: irVersionFor(graph.opset),
    producerName: 'ort-tl',
    graph: graphProtoOf(graph, name),
    opsetImport: [...new Set(['', ...graph.nodes.map(({ domain }) => domain)])].map((domain) => ({
      domain,
      version: BigInt(domain === '' ? graph.opset : 1),
    })),
  });
}

function graphProtoOf(graph: Graph, name: string): GraphProto {
  // Inputs and outputs keep their names; another value of the same name, such as one that ort-tl made, gives way.
  const names = new Map<Value, string>();
  const taken = new Set(['']);
  const counts = new Map<string, number>();
  const nameOf = (value: Value): string => {
    const known = names.get(value);
    if (known !== undefined) return known;
    let free = value.name;
    let count = counts.get(value.name) ?? 0;
    while (taken.has(free)) free = `${value.name}_${++count}`;
    counts.set(value.name, count);
    names.set(value, free);
    taken.add(free);
    return free;
  };
  for (const value of [...graph.inputs, ...graph.outputs]) nameOf(value);
  const constants = new Set<Value>();
  for (const value of [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs]) {
    if (value?.constant) constants.add(value);
  }
  return create(GraphProtoSchema, {
    name,
    input: graph.inputs.map((value) => protoOfValue(value, nameOf(value))),
    output: graph.outputs.map((value) => protoOfValue(value, nameOf(value))),
    initializer: [...constants].map((value) => {
      if (!value.constant) throw new Error('unreachable');
      return protoOfTensor(nameOf(value), value.constant);
    }),
    node: graph.nodes.map((node) => protoOfNode(node, nameOf)),
  });
}

export function protoOfNode(node: Node, nameOf = (value: Value) => value.name): NodeProto {
  const inputs = node.inputs.map((input) => (input ? nameOf(input) : ''));
  const own = inputs.length - node.captured;
  const proto = create(NodeProtoSchema, {
    name: node.name,
    opType: node.op,
    domain: node.domain,
    input: inputs.slice(0, own),
    output: node.outputs.map((output) => (output ? nameOf(output) : '')),
    attribute: [...node.attributes].map(([key, attribute]) => protoOfAttribute(key, attribute)),
  });
  return node.captured === 0 ? proto : withCaptured(proto, inputs.slice(own));
}

/** The node, with the graphs in its attributes reading what they read from outside by the names that it has now. */
function withCaptured(proto: NodeProto, now: readonly string[]): NodeProto {
  const copy = clone(NodeProtoSchema, proto);
  const names = new Map(capturedBy(copy).map((name, index) => [name, now[index] ?? name]));
  const { input } = copy;
  renameReads(copy, (name) => names.get(name) ?? name);
  copy.input = input;
  return copy;
}

/** The file-format version that came with an operator set (onnx/docs/Versioning.md). */
function irVersionFor(opset: number): bigint {
  if (opset <= 18) return 8n;
  return opset <= 20 ? 9n : opset <= 22 ? 10n : opset === 23 ? 11n : 12n;
}
