import { type Graph, int, Node, Value } from '../graph/graph.js';
import { modelOfGraph } from '../graph/proto.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import type { CalibrationMethod } from './calibration.js';

export interface CalibrationModel {
  readonly model: ModelProto;
  /** Name of an output → the activation that it observes. */
  readonly activations: ReadonlyMap<string, string>;
}

/**
 * `graph` in float with outputs that tell of the activations called `values`: all their numbers, or, where `method` asks for no more,
 * their smallest and largest.
 */
export function calibrationModel(graph: Graph, wanted: readonly string[], method: CalibrationMethod): CalibrationModel {
  const names = new Set(wanted);
  const all = [...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)];
  const values = all.flatMap((value) => (value && names.has(value.name) ? [value] : []));
  if (method !== 'min-max')
    return {
      model: modelOfGraph({ ...graph, outputs: values }, 'calibration'),
      activations: new Map(values.map(({ name }) => [name, name])),
    };
  const activations = new Map<string, string>();
  const extremes = values.flatMap((value) =>
    ['ReduceMin', 'ReduceMax'].map((op) => {
      const extreme = new Value(`${value.name}/${op}`, 'float32', []);
      activations.set(extreme.name, value.name);
      return new Node({
        op,
        name: extreme.name,
        inputs: [value],
        outputs: [extreme],
        attributes: new Map([['keepdims', int(0)]]),
      });
    }),
  );
  const nodes = [...graph.nodes, ...extremes];
  const outputs = extremes.map((node) => node.output());
  return { model: modelOfGraph({ ...graph, nodes, outputs }, 'calibration'), activations };
}
