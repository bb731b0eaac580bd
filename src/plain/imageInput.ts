import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  type ValueInfoProto,
} from '../onnx/onnx_pb.js';
import { protoOfTensor, tensor } from '../onnx/tensor.js';
import { readsOf } from '../onnx/captured.js';
import type { Draft } from './draft.js';
import {
  constantsOf,
  dimsOf,
  givenInputs,
  imageOf,
  intOf,
  intsOf,
  isOneOf,
  numbersOf,
  producersOf,
  readersOf,
} from './nodes.js';

/** Operators that leave every axis in its place. */
const IN_PLACE = [
  'Add',
  'Cast',
  'Clip',
  'DequantizeLinear',
  'Div',
  'Identity',
  'Mul',
  'Neg',
  'Pad',
  'QuantizeLinear',
  'Relu',
  'Resize',
  'Sub',
];

/** Drops inputs that nothing reads, and says no to those that ask whether the model trains. */
export function unreadInputs(draft: Draft): void {
  const isMode = ({ name, type }: ValueInfoProto) => type?.tensorType?.elemType === BOOL && /train/i.test(name);
  const mode = givenInputs(draft.graph).find(isMode);
  if (mode) {
    const graph = draft.edit();
    graph.initializer.push(protoOfTensor(mode.name, tensor('bool', [], Uint8Array.of(0))));
    graph.input = graph.input.filter(({ name }) => name !== mode.name);
    draft.notes.push(`input "${mode.name}", which asks whether the model trains, is taken as no`);
  }
  const { graph } = draft;
  const read = new Set([...graph.node.flatMap(readsOf), ...graph.output.map(({ name }) => name)]);
  const unread = givenInputs(graph).filter(({ name }) => !read.has(name));
  if (unread.length === 0 || unread.length === givenInputs(graph).length) return;
  const edited = draft.edit();
  edited.input = edited.input.filter(({ name }) => !unread.some((each) => each.name === name));
}

/** `TensorProto.DataType`. */
const BOOL = 9;

/**
 * States how many channels the image has where the file leaves that open: as many as the first convolution takes, in the place where
 * transpositions before it have them.
 */
export function imageChannels(draft: Draft): void {
  const image = imageOf(draft.graph);
  if (!image) return;
  const dims = dimsOf(image);
  if (dims && (dims.length !== 4 || dims.slice(1).every((dim) => typeof dim === 'number'))) return;
  const found = channelsOf(image.name, draft.graph);
  if (!found || typeof dims?.[found.axis] === 'number') return;
  const edited = draft.edit().input.find(({ name }) => name === image.name);
  const type = edited?.type?.tensorType;
  if (!type) return;
  type.shape ??= create(TensorShapeProtoSchema, {
    dim: ['N', '', '', ''].map((name) =>
      create(TensorShapeProto_DimensionSchema, name === '' ? {} : { value: { case: 'dimParam', value: name } }),
    ),
  });
  const dim = type.shape.dim[found.axis];
  if (dim) dim.value = { case: 'dimValue', value: BigInt(found.channels) };
}

/** How many channels the first convolution behind a value [N, …] takes, and which of the value's axes they are. */
function channelsOf(
  image: string,
  graph: GraphProto,
): { readonly axis: number; readonly channels: number } | undefined {
  const constants = constantsOf(graph);
  const readers = readersOf(graph);
  const producers = producersOf(graph);
  /** Values and which axis of the image each of their axes is. */
  const axesOf = new Map<string, readonly number[]>([[image, [0, 1, 2, 3]]]);
  for (const [name, axes] of axesOf) {
    for (const node of readers.get(name) ?? []) {
      const channels = channelsAt(node, name, constants, producers);
      const axis = axes[1];
      if (channels !== undefined && axis !== undefined) return { axis, channels };
      const [output = ''] = node.output;
      const perm = isOneOf(node, 'Transpose') ? intsOf(node, 'perm') : undefined;
      if (perm)
        axesOf.set(
          output,
          perm.map((from) => axes[from] ?? 0),
        );
      else if (isOneOf(node, ...IN_PLACE) && node.input[0] === name) axesOf.set(output, axes);
      else if (isOneOf(node, ...IN_PLACE) && constants.has(node.input[0] ?? '')) axesOf.set(output, axes);
    }
  }
  return undefined;
}

/** How many channels a node takes of a value [N, C, …]: a convolution, or a normalization. */
function channelsAt(
  node: NodeProto,
  name: string,
  constants: ReadonlyMap<string, TensorProto>,
  producers: ReadonlyMap<string, NodeProto>,
): number | undefined {
  if (node.input[0] !== name) return undefined;
  const [first = -1, second = -1] = storedDims(node.input[1] ?? '', constants, producers) ?? [];
  const channels = isOneOf(node, 'Conv')
    ? second * intOf(node, 'group', 1)
    : isOneOf(node, 'BatchNormalization')
      ? first
      : -1;
  return channels > 0 ? channels : undefined;
}

/** The dimensions of a constant, also where it is stored in other numbers, or in another shape. */
function storedDims(
  name: string,
  constants: ReadonlyMap<string, TensorProto>,
  producers: ReadonlyMap<string, NodeProto>,
): number[] | undefined {
  const constant = constants.get(name);
  if (constant) return constant.dims.map(Number);
  const node = producers.get(name);
  if (node && isOneOf(node, 'Reshape')) return numbersOf(constants.get(node.input[1] ?? ''));
  const stored =
    node && isOneOf(node, 'Cast', 'DequantizeLinear', 'Identity', 'Transpose')
      ? storedDims(node.input[0] ?? '', constants, producers)
      : undefined;
  if (!node || !stored || !isOneOf(node, 'Transpose')) return stored;
  return (intsOf(node, 'perm') ?? [...stored.keys()].reverse()).map((axis) => stored[axis] ?? 0);
}
