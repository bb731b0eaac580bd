import { canonicalize } from '../graph/canonical.js';
import type { Graph } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { graphOfModel, modelOfGraph, statedBatch } from '../graph/proto.js';
import { selectEarly } from '../graph/selectEarly.js';
import { settle } from '../graph/settle.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import type { CalibrationMethod } from './calibration.js';
import { type CalibrationModel, calibrationModel } from './calibrationModel.js';
import { foldNorms } from './foldNorms.js';
import { type QuantizationPlan, quantize } from './quantize.js';
import { type Selection, selectNodes } from './selection.js';

/**
 * Where x·σ(x) follows the convolutions, which is two passes over a map in whole numbers and one in float, maps of more pixels a
 * side than this gain less by the convolution than they lose by those (EfficientNet-B0 at 224 px: see docs/how-it-works.md).
 */
const LARGEST_MAP = 40;

/** A plan for the frozen part of a training; its last layer stays in float, for what it gives is what is trained on. */
export class FrozenPart {
  private readonly graph: Graph;
  /** No nodes where there is nothing to quantize. */
  readonly selection: Selection;

  constructor(frozen: ModelProto) {
    const source = graphOfModel(frozen);
    inferGraph(source);
    this.graph = foldNorms(source);
    const gates = this.graph.nodes.some(({ op }) => op === 'Sigmoid');
    this.selection = selectNodes(this.graph, { keepsLast: true, ...(gates ? { largestMap: LARGEST_MAP } : {}) });
  }

  /** The frozen part in float, giving what {@link calibrationModel} does of the activations that the selection needs. */
  calibration(method: CalibrationMethod): CalibrationModel {
    return calibrationModel(this.graph, this.selection.values, method);
  }

  quantized(plan: QuantizationPlan): ModelProto {
    return modelOfGraph(quantize(this.graph, plan), 'frozen');
  }
}

/**
 * A whole model with the nodes of `plan` in whole numbers, its metadata and what it takes and gives as they were. Names of
 * activations are those of the model, so a plan for its frozen part fits. `imageSize` is [height, width].
 */
export function quantizeModel(
  model: ModelProto,
  plan: QuantizationPlan,
  imageSize: readonly [number, number],
): ModelProto {
  const graph = graphOfModel(model, imageSize);
  const from = graph.opset;
  canonicalize(graph);
  settle(graph, from, statedBatch(model, graph.inputs[0]?.name ?? ''));
  selectEarly(graph);
  const { metadataProps } = model;
  return { ...modelOfGraph(quantize(foldNorms(graph), plan), model.graph?.name ?? ''), metadataProps };
}
