import type { Graph } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { graphOfModel, modelOfGraph } from '../graph/proto.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { foldNorms } from './foldNorms.js';
import { quantize } from './quantize.js';
import type { Range } from './range.js';
import { selectNodes, type SelectionOptions } from './selection.js';

/**
 * Where x·σ(x) follows the convolutions, which is two passes over a map in whole numbers and one in float, maps of more pixels a
 * side than this gain less by the convolution than they lose by those (EfficientNet-B0 at 224 px: see docs/how-it-works.md).
 */
const LARGEST_MAP = 40;

/** The frozen part of a training, as it is quantized: the last layer stays in float, for what it gives is what is trained on. */
export class QuantizableFrozenPart {
  private readonly graph: Graph;
  private readonly options: SelectionOptions;
  /** The names of the activations whose ranges are needed; none where there is nothing to quantize. */
  readonly values: readonly string[];

  constructor(frozen: ModelProto) {
    const source = graphOfModel(frozen);
    inferGraph(source);
    this.graph = foldNorms(source);
    const gates = this.graph.nodes.some(({ op }) => op === 'Sigmoid');
    this.options = { keepsLast: true, ...(gates ? { largestMap: LARGEST_MAP } : {}) };
    this.values = selectNodes(this.graph, this.options).values.map(({ name }) => name);
  }

  /** The model in float whose outputs are those activations. */
  get calibration(): ModelProto {
    const { values } = selectNodes(this.graph, this.options);
    return modelOfGraph({ ...this.graph, outputs: [...values] }, 'calibration');
  }

  quantized(ranges: ReadonlyMap<string, Range>, reducesRange: boolean): ModelProto {
    return modelOfGraph(quantize(this.graph, ranges, { ...this.options, reducesRange }), 'frozen');
  }
}
