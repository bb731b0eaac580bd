import { create } from '@bufbuild/protobuf';
import { wholeTensor } from '../onnx/float16.js';
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
} from '../onnx/onnx_pb.js';
import { floatTensor, protoOfTensor, type Tensor, tensorOfProto } from '../onnx/tensor.js';
import { readsOf } from '../onnx/captured.js';
import { allGraphs, allNodes, replaceTensors, tensorsOf } from '../onnx/tensorsOf.js';
import type { Draft } from './draft.js';
import { attributeOf, givenInputs, intOf, isOneOf, passOn, producersOf } from './nodes.js';

/** `TensorProto.DataType`. */
const FLOAT = 1;
const FLOAT16 = 10;
const DOUBLE = 11;
const BFLOAT16 = 16;
const NAMES = new Map([
  [FLOAT16, 'float16'],
  [DOUBLE, 'float64'],
  [BFLOAT16, 'bfloat16'],
]);

/** Attributes that name an element type. */
const TYPES = new Set(['dtype', 'output_dtype', 'stash_type', 'to']);

/**
 * Has a model that computes in float16, bfloat16 or float64 compute in float32: what it takes and gives, its constants and Casts follow.
 * One that only stores its weights so, behind a Cast to float32 each, stays as it is; so does arithmetic on shapes in float64.
 */
export function floatTypes(draft: Draft): void {
  const codes = new Set(alienTypes(draft.model));
  if (codes.size === 0) return;
  const model = draft.editModel();
  const graph = draft.edit();
  const types = elementTypes(graph);
  const becomesFloat = (code: number | undefined) => code === FLOAT || (code !== undefined && codes.has(code));
  const casts = graph.node.filter(
    (node) =>
      isOneOf(node, 'Cast') && becomesFloat(intOf(node, 'to', 0)) && becomesFloat(types.get(node.input[0] ?? '')),
  );
  replaceTensors(model, (each) => (codes.has(each.dataType) ? inFloat32(each) : each));
  for (const { attribute } of allNodes(graph.node))
    for (const each of attribute) if (TYPES.has(each.name) && codes.has(Number(each.i))) each.i = BigInt(FLOAT);
  for (const each of allGraphs(model))
    for (const { type } of [...each.input, ...each.output, ...each.valueInfo])
      if (type?.tensorType && codes.has(type.tensorType.elemType)) type.tensorType.elemType = FLOAT;
  passOn(graph, new Map(casts.map((node) => [node, node.input[0] ?? ''])));
  const named = [...codes].map((code) => NAMES.get(code) ?? '').join(' and ');
  draft.notes.push(`${draft.path} computes in ${named}; it is trained and exported in float32`);
}

/** The types of floating point, other than float32, that a model computes in. */
function alienTypes(model: ModelProto): number[] {
  return [FLOAT16, BFLOAT16, DOUBLE].filter((code) => {
    const inputs = [...allGraphs(model)].flatMap(({ input, output }) => [...input, ...output]);
    if (inputs.some(({ type }) => type?.tensorType?.elemType === code)) return true;
    if (code === BFLOAT16) return tensorsOf(model).some(({ dataType }) => dataType === code) || castsTo(model, code);
    return code === DOUBLE ? computesOnData(model, code) : computesIn(model, code);
  });
}

const castsTo = (model: ModelProto, code: number) =>
  [...allNodes(model.graph?.node ?? [])].some((node) => isOneOf(node, 'Cast') && intOf(node, 'to', 0) === code);

/** Whether a model has numbers of a type for another purpose than to store float32. */
function computesIn(model: ModelProto, code: number): boolean {
  const { graph } = model;
  if (!graph || castsTo(model, code)) return graph !== undefined;
  const stored = new Set(storedAs(graph, code));
  return graph.node.some((node) => !storesOnly(node) && readsOf(node).some((name) => stored.has(name)));
}

/** Whether a model has the image's numbers in a type: shapes and what is computed of them do not count. */
function computesOnData(model: ModelProto, code: number): boolean {
  const { graph } = model;
  if (!graph) return false;
  const data = new Set(givenInputs(graph).map(({ name }) => name));
  const stored = new Set(storedAs(graph, code));
  return graph.node.some((node) => {
    if (isOneOf(node, 'Shape', 'Size') || !readsOf(node).some((name) => data.has(name))) return false;
    for (const output of node.output) data.add(output);
    return (isOneOf(node, 'Cast') && intOf(node, 'to', 0) === code) || node.input.some((name) => stored.has(name));
  });
}

/** The constants of a type. */
function storedAs({ initializer, node }: GraphProto, code: number): string[] {
  const constants = node.filter(
    (each) => isOneOf(each, 'Constant') && attributeOf(each, 'value')?.t?.dataType === code,
  );
  return [
    ...initializer.flatMap(({ name, dataType }) => (dataType === code ? name : [])),
    ...constants.flatMap(({ output }) => output),
  ];
}

/** Whether a node makes float32 of numbers, or does not read them at all. */
const storesOnly = (node: NodeProto) =>
  isOneOf(node, 'Shape', 'Size') || (isOneOf(node, 'Cast') && intOf(node, 'to', 0) === FLOAT);

/** A tensor of floating point in float32. */
function inFloat32(proto: TensorProto): TensorProto {
  return protoOfTensor(
    proto.name,
    proto.dataType === BFLOAT16 ? wholeOfBrain(proto) : wholeTensor(tensorOfProto(proto)),
  );
}

/** A bfloat16 is the first half of a float32. */
function wholeOfBrain(proto: TensorProto): Tensor {
  const { name, dims, rawData, int32Data } = proto;
  const stored = tensorOfProto(create(TensorProtoSchema, { name, dims, rawData, int32Data, dataType: UINT16 }));
  const bits = Uint32Array.from(stored.data as Uint16Array, (half) => half << 16);
  return floatTensor(stored.dims, new Float32Array(bits.buffer));
}

const UINT16 = 4;

const WHOLE = new Set(['ArgMax', 'ArgMin', 'NonZero', 'Shape', 'Size']);
const TRUTH = new Set([
  'And',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'IsInf',
  'IsNaN',
  'Less',
  'LessOrEqual',
  'Not',
  'Or',
  'Xor',
]);
const INT64 = 7;
const BOOL = 9;

/** The element types of a graph's values, as far as they follow from its inputs' and constants'. */
export function elementTypes(graph: GraphProto): Map<string, number> {
  const types = new Map<string, number>();
  for (const { name, type } of graph.input) if (type?.tensorType) types.set(name, type.tensorType.elemType);
  for (const { name, dataType } of graph.initializer) types.set(name, dataType);
  const producers = producersOf(graph);
  const typeOf = (name: string): number | undefined => {
    const known = types.get(name);
    if (known !== undefined) return known;
    // A chain of nodes is followed without recursion as deep as it is long.
    const chain: { readonly name: string; readonly node: NodeProto }[] = [];
    let type: number | undefined;
    for (let at = name; ;) {
      type = types.get(at);
      const node = producers.get(at);
      if (type !== undefined || !node || chain.length > producers.size) break;
      chain.push({ name: at, node });
      const own = ownType(node, at);
      if (typeof own === 'number') {
        type = own;
        break;
      }
      at = node.input[own.likeInput] ?? '';
    }
    if (type !== undefined) for (const each of chain) types.set(each.name, type);
    return type;
  };
  for (const node of graph.node) for (const output of node.output) if (output !== '') typeOf(output);
  return types;
}

/** The type of what a node gives, or which input's it is. */
function ownType(node: NodeProto, output: string): number | { readonly likeInput: number } {
  const { opType } = node;
  if (opType === 'Cast') return intOf(node, 'to', FLOAT);
  if (WHOLE.has(opType)) return INT64;
  if (TRUTH.has(opType)) return BOOL;
  if (opType === 'TopK' && output === node.output[1]) return INT64;
  if (opType === 'Constant') return attributeOf(node, 'value')?.t?.dataType ?? constantType(node);
  if (opType === 'ConstantOfShape') return attributeOf(node, 'value')?.t?.dataType ?? FLOAT;
  const likeInput = { Where: 1, QuantizeLinear: 2, DequantizeLinear: 1, OneHot: 2, CastLike: 1 }[opType];
  return { likeInput: likeInput ?? 0 };
}

function constantType(node: NodeProto): number {
  return node.attribute.some(({ name }) => name.startsWith('value_int')) ? INT64 : FLOAT;
}
