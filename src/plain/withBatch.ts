import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  type NodeProto,
  type TensorShapeProto_Dimension,
  TensorShapeProto_DimensionSchema,
  type ValueInfoProto,
} from '../onnx/onnx_pb.js';
import { intTensor, protoOfTensor } from '../onnx/tensor.js';
import { type Draft, nodeOf } from './draft.js';
import { holdsForAnyBatch } from './holdsForAnyBatch.js';
import {
  constantsOf,
  dimsOf,
  imageOf,
  intAttribute,
  intsOf,
  isOneOf,
  nodesBefore,
  numbersOf,
  passOn,
  producersOf,
  readersOf,
  replaceReads,
} from './nodes.js';

/**
 * Gives a model that takes one image without a batch, [3, H, W] or [H, W, 3], a batch. Where it puts that before the image by itself its
 * Unsqueeze goes; else it reads the one image of the batch. The batch is of any size where what the model computes is right for any,
 * else of 1.
 */
export function withBatch(draft: Draft): void {
  const image = imageOf(draft.graph);
  const dims = dimsOf(image);
  if (!image || dims?.length !== 3) return;
  const putsBatch = adders(draft.graph, image);
  if (putsBatch === undefined && dims[0] !== 3 && dims[2] !== 3) return;
  const graph = draft.edit();
  if (putsBatch) passOn(graph, new Map(adders(graph, image)?.map((node) => [node, image.name])));
  else readOne(draft, image.name);
  const batches = graph.input.filter(({ name }) => name === image.name).map(prependBatch);
  const rows = graph.output.flatMap((output) => rowOf(draft, output, batches));
  graph.valueInfo = [];
  const isAny = holdsForAnyBatch(draft.model);
  for (const batch of batches) batch.value = isAny ? { case: 'dimParam', value: 'N' } : { case: 'dimValue', value: 1n };
  if (!isAny) for (const row of rows) makeOneRow(draft, row);
  draft.notes.push(
    `${draft.path} takes one image at a time, without a batch; it is given one${isAny ? '' : ', of one image'}`,
  );
}

/** The nodes that read the image, where each puts a batch before it; undefined where one does something else. */
function adders(graph: GraphProto, image: ValueInfoProto): NodeProto[] | undefined {
  const outputs = graph.output.map(({ name }) => name);
  const needed = new Set(nodesBefore(graph, outputs));
  const all = readersOf(graph).get(image.name) ?? [];
  const puts = all.filter((node) => hasAxes(node, graph, 'Unsqueeze') || reshapesToBatch(node, graph, image));
  const read = all.filter((node) => needed.has(node));
  return read.length > 0 && read.every((node) => puts.includes(node)) ? puts : undefined;
}

/** Whether a node puts in, or takes out, the first axis and no other. */
function hasAxes(node: NodeProto, graph: GraphProto, operator: 'Squeeze' | 'Unsqueeze'): boolean {
  if (!isOneOf(node, operator)) return false;
  const axes = intsOf(node, 'axes') ?? numbersOf(constantsOf(graph).get(node.input[1] ?? ''));
  return axes?.length === 1 && axes[0] === 0;
}

/** Whether a node reshapes one image to a batch of 1 of what it is. */
function reshapesToBatch(node: NodeProto, graph: GraphProto, image: ValueInfoProto): boolean {
  const [first, ...rest] = (isOneOf(node, 'Reshape') && numbersOf(constantsOf(graph).get(node.input[1] ?? ''))) || [];
  const dims = dimsOf(image) ?? [];
  return (
    (first === 1 || first === -1) &&
    rest.length === dims.length &&
    rest.every((dim, axis) => dim === -1 || typeof dims[axis] !== 'number' || dim === dims[axis])
  );
}

/** Has the nodes of a model read the one image of a batch. */
function readOne(draft: Draft, image: string): void {
  const one = draft.uniqueName(`${image}_one`);
  const first = draft.addConstant('first_image', (name) => protoOfTensor(name, intTensor([], [0])));
  const graph = draft.edit();
  replaceReads(graph, new Map([[image, one]]));
  graph.node.unshift(nodeOf('Gather', [image, first], one, { attribute: [intAttribute('axis', 0)] }));
}

/** Puts an axis for images before those that the file states, and gives it. */
function prependBatch({ type }: ValueInfoProto): TensorShapeProto_Dimension {
  const batch = create(TensorShapeProto_DimensionSchema);
  type?.tensorType?.shape?.dim.unshift(batch);
  return batch;
}

/** Gives an output the axis of images, which is added to `batches`, and what makes a row of it where it has one axis alone. */
function rowOf(draft: Draft, output: ValueInfoProto, batches: TensorShapeProto_Dimension[]): NodeProto[] {
  const graph = draft.edit();
  const { name } = output;
  const writer = producersOf(graph).get(name);
  const dims = dimsOf(output);
  if (!writer || (dims?.length !== 1 && !hasAxes(writer, graph, 'Squeeze'))) return [];
  batches.push(prependBatch(output));
  if (hasAxes(writer, graph, 'Squeeze')) {
    passOn(graph, new Map([[writer, writer.input[0] ?? '']]));
    return [];
  }
  const shapes = isOneOf(writer, 'Squeeze') || isOneOf(writer, 'Reshape');
  let from = writer.input[0] ?? '';
  if (shapes) graph.node = graph.node.filter((node) => node !== writer);
  else {
    from = draft.uniqueName(`${name}_one`);
    writer.output = writer.output.map((each) => (each === name ? from : each));
  }
  replaceReads(graph, new Map([[name, from]]));
  // In whatever shape one image's scores come, they are all that there is beside the axis of images.
  const node = nodeOf('Flatten', [from], name, { attribute: [intAttribute('axis', 1)] });
  graph.node.push(node);
  return [node];
}

/** Makes a row of one image's scores where that cannot be said of any number of images. */
function makeOneRow(draft: Draft, node: NodeProto): void {
  const row = draft.addConstant('one_row', (name) => protoOfTensor(name, intTensor([2], [1, -1])));
  node.opType = 'Reshape';
  node.input.push(row);
  node.attribute = [];
}
