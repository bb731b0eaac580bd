import { clone, create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorShapeProto_DimensionSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.js';
import { dtypeCode, type DType, floatTensor, intTensor, protoOfTensor } from '../onnx/tensor.js';
import { type Manifest, NEXT, stateNames, STEP_OUTPUTS } from './manifest.js';
import { sumsOf } from './stepModel.js';

/** How many parts a run takes, an int64 scalar. */
export const TRIPS = 'ort_tl/trips';
/** What an input or output of a step is called where a run takes several parts of steps. */
export const ofRun = (name: string): string => `ort_tl/run/${name}`;

/** `AttributeProto.AttributeType` of an int, and of a graph (onnx.proto). */
const [INT, GRAPH] = [2, 5];
const ITERATION = 'ort_tl/iteration';
const GOES_ON = 'ort_tl/goes_on';
const GOES_ON_NEXT = 'ort_tl/goes_on_next';
const ZERO = 'ort_tl/zero';
const TRUE = 'ort_tl/true';

/**
 * A step model in a loop: a run takes {@link TRIPS} parts of batches one after the other, all of which are in its inputs, with state that comes and
 * goes once. It ends after a loss that is no number. Results hold a row for each part that was taken; names are {@link ofRun}.
 */
export function loopModel({ graph, irVersion, producerName, opsetImport }: ModelProto, manifest: Manifest): ModelProto {
  if (!graph) throw new Error('the model has no graph');
  const names = stateNames(manifest);
  const carried = new Set([...names, ...sumsOf(manifest).keys()]);
  const stacked = graph.input.filter(({ name }) => !carried.has(name));
  const rows = Object.values(STEP_OUTPUTS);
  const infos = new Map([...graph.input, ...graph.output].map((info) => [info.name, info]));
  const info = (name: string) => {
    const found = infos.get(name);
    if (!found) throw new Error(`the step has no "${name}"`);
    return found;
  };
  const outside = (name: string) => renamed(info(name), ofRun(name));
  const initial = [...carried].map(ofRun);
  const loop = nodeOf(
    'Loop',
    [TRIPS, TRUE, ...initial],
    [...[...carried].map((name) => ofRun(name + NEXT)), ...rows.map(ofRun)],
  );
  loop.attribute = [create(AttributeProtoSchema, { name: 'body', type: GRAPH, g: bodyOf(graph, [...carried], info) })];
  return create(ModelProtoSchema, {
    irVersion,
    producerName,
    opsetImport,
    graph: {
      name: 'steps',
      input: [scalarInfo(TRIPS, 'int64'), ...stacked.map(({ name }) => ofParts(outside(name))), ...names.map(outside)],
      output: [
        ...names.map((name) => renamed(info(name + NEXT), ofRun(name + NEXT))),
        ...rows.map((name) => ofParts(outside(name))),
      ],
      initializer: [protoOfTensor(TRUE, { dtype: 'bool', dims: [], data: Uint8Array.of(1) }), ...zeroShapes(manifest)],
      node: [...zeros(manifest), loop],
    },
  });
}

/** A step that takes its inputs from those of the run. */
function bodyOf(graph: GraphProto, carried: readonly string[], info: (name: string) => ValueInfoProto): GraphProto {
  const parts = graph.input.filter(({ name }) => !carried.includes(name));
  const gathers = parts.map(({ name }) => {
    const gather = nodeOf('Gather', [ofRun(name), ITERATION], [name]);
    gather.attribute = [create(AttributeProtoSchema, { name: 'axis', type: INT, i: 0n })];
    return gather;
  });
  // Times 0, what is finite is 0, and all else is NaN.
  const product = `${ZERO}/loss`;
  const checks = [
    nodeOf('Mul', [STEP_OUTPUTS.loss, ZERO], [product]),
    nodeOf('Equal', [product, ZERO], [GOES_ON_NEXT]),
  ];
  return create(GraphProtoSchema, {
    name: 'step',
    input: [scalarInfo(ITERATION, 'int64'), scalarInfo(GOES_ON, 'bool'), ...carried.map(info)],
    output: [
      scalarInfo(GOES_ON_NEXT, 'bool'),
      ...carried.map((name) => info(name + NEXT)),
      ...Object.values(STEP_OUTPUTS).map(info),
    ],
    initializer: [...graph.initializer, protoOfTensor(ZERO, floatTensor([], [0]))],
    node: [...gathers, ...graph.node, ...checks],
  });
}

/** Sums of gradients begin anew in each run, which takes whole batches. */
function zeros(manifest: Manifest): NodeProto[] {
  return [...sumsOf(manifest).keys()].map((name) => nodeOf('ConstantOfShape', [`${ofRun(name)}/shape`], [ofRun(name)]));
}

const zeroShapes = (manifest: Manifest) =>
  [...sumsOf(manifest)].map(([name, shape]) => protoOfTensor(`${ofRun(name)}/shape`, intTensor([shape.length], shape)));

const nodeOf = (opType: string, input: readonly string[], output: readonly string[]): NodeProto =>
  create(NodeProtoSchema, { name: `${output[0] ?? ''}/node`, opType, input: [...input], output: [...output] });

function scalarInfo(name: string, dtype: DType): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, type: { tensorType: { elemType: dtypeCode(dtype), shape: {} } } });
}

function renamed(info: ValueInfoProto, name: string): ValueInfoProto {
  const copy = clone(ValueInfoProtoSchema, info);
  copy.name = name;
  return copy;
}

/** With a dimension for the parts in front. */
function ofParts(info: ValueInfoProto): ValueInfoProto {
  info.type?.tensorType?.shape?.dim.unshift(
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: 'parts' } }),
  );
  return info;
}
