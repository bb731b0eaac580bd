import { create } from '@bufbuild/protobuf';
import { TensorShapeProtoSchema } from '../onnx/onnx_pb.js';
import { type Draft, nodeOf } from './draft.js';
import { dimsOf, intAttribute } from './nodes.js';

/** Makes a row of scores, [N, classes], of a map of one place, [N, classes, 1, 1] or with the classes last, that the model gives. */
export function rowOfScores(draft: Draft): void {
  const [output] = draft.graph.output;
  const dims = dimsOf(output);
  if (!output || draft.graph.output.length > 1 || !dims || dims.length < 3) return;
  const classes = dims.findIndex((dim, axis) => axis > 0 && dim !== 1);
  const isOnePlace = dims.every((dim, axis) => axis === 0 || axis === classes || dim === 1);
  if (!isOnePlace || typeof dims[classes] !== 'number') return;
  const { name } = output;
  const map = draft.uniqueName(`${name}_map`);
  const graph = draft.edit();
  const writer = graph.node.find((node) => node.output.includes(name));
  if (!writer) return;
  writer.output = writer.output.map((each) => (each === name ? map : each));
  for (const node of graph.node) node.input = node.input.map((each) => (each === name ? map : each));
  graph.node.push(nodeOf('Flatten', [map], name, { attribute: [intAttribute('axis', 1)] }));
  const type = graph.output[0]?.type?.tensorType;
  const stated = type?.shape?.dim ?? [];
  const [images] = stated;
  const scores = stated[classes];
  if (type && images && scores) type.shape = create(TensorShapeProtoSchema, { dim: [images, scores] });
  draft.notes.push(`the scores "${name}", a map of one place, become a row`);
}
