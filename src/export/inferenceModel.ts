import { imageLayout } from '../artifacts/imageLayout.js';
import { METADATA, type Preprocessing } from '../artifacts/manifest.js';
import { classifierOf } from '../artifacts/prepare.js';
import { prependPreprocessing } from '../artifacts/prependPreprocessing.js';
import { UserError } from '../errors.js';
import { inOpset } from '../graph/earlierOpset.js';
import { type Graph, int, Node, Value } from '../graph/graph.js';
import { modelOfGraph } from '../graph/proto.js';
import { type ModelFile, opsetOf, setMetadata } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import type { CalibrationMethod } from '../quantize/calibration.js';
import { type CalibrationModel, calibrationModel } from '../quantize/calibrationModel.js';
import { foldNorms } from '../quantize/foldNorms.js';
import { quantize } from '../quantize/quantize.js';
import type { Range } from '../quantize/range.js';
import { type Selection, selectNodes } from '../quantize/selection.js';
import { BAKED_OPSET, bakePreprocessing } from './bakedPreprocessing.js';
import { givingLogits, PIXEL_VALUES, takingPixelValues } from './transformersJsGraph.js';
import { halfPrecision, halveVectors } from './halfPrecision.js';
import { shortenNames } from './shortNames.js';

export const precisions = ['fp32', 'fp16', 'int8'] as const;
export type Precision = (typeof precisions)[number];

export interface InferenceOptions {
  readonly precision: Precision;
  /** Version of the standard operators; default the source's, or the least later one that has what is needed. */
  readonly opset?: number;
  /** Whether the model takes uint8 photos of any size and prepares them by itself; default false. */
  readonly bakesPreprocessing?: boolean;
  /** Whether the model gives shares that add up to 1 in place of logits; default false. */
  readonly softmax?: boolean;
  /** Whether a model of labels gives the probability of each in place of logits; default false. */
  readonly sigmoid?: boolean;
  /** Images that the model takes at once; default any number. */
  readonly batch?: number;
  /**
   * Whether it is for transformers.js: takes `pixel_values`, normalized numbers [N, 3, H, W], which with baked preprocessing are a photo in
   * a size of its own, and gives `logits`, of a model that ends in Softmax too; default false.
   */
  readonly forTransformersJs?: boolean;
  /** For int8: layers that are computed in float, the first or the last; default neither. */
  readonly keepFloat?: readonly ('first' | 'last')[];
}

/** Per-channel quantization came with it. */
const QUANTIZED_OPSET = 13;

/**
 * Where σ gates a network (SiLU, squeeze and excitation), its products stay in float, and so do layers on maps of more pixels a side
 * than this: there channels differ so much that one range for all of them serves few. EfficientNet-B0 at 224 px loses 3 points of
 * top-1 with them in whole numbers (docs/export.md).
 */
const LARGEST_GATED_MAP = 40;
const LAYERS: ReadonlySet<string> = new Set(['Conv', 'Gemm']);

/** A tuned classifier on its way to an inference model: BatchNormalizations are in the convolutions, what only training needs is gone. */
export class InferenceModel {
  private readonly graph: Graph;
  private readonly calibrated: Graph;
  private readonly selection: Selection;
  private readonly opset: number;

  /** @throws UserError `unsupported-opset` for an opset that cannot hold what is asked for, or an unreadable model's. */
  constructor(
    private readonly tuned: ModelFile,
    private readonly preprocessing: Preprocessing,
    private readonly options: InferenceOptions,
  ) {
    const { height, width } = preprocessing;
    const classifier = classifierOf(tuned, { size: height === width ? height : undefined });
    const { image } = classifier;
    if (options.forTransformersJs && !options.bakesPreprocessing) checkColours(image, 'transformers.js gives');
    this.graph = foldNorms(classifier.graph);
    const keep = new Set(options.keepFloat);
    const gated = this.graph.nodes.some(({ op }) => op === 'Sigmoid');
    this.selection = selectNodes(this.graph, {
      keepsFirst: keep.has('first'),
      keepsLast: keep.has('last'),
      ...(gated ? { operators: LAYERS, largestMap: LARGEST_GATED_MAP } : {}),
    });
    prependPreprocessing(classifier, preprocessing);
    this.calibrated = foldNorms(classifier.graph);
    const least = Math.max(
      options.precision === 'int8' ? QUANTIZED_OPSET : 0,
      options.bakesPreprocessing ? BAKED_OPSET : 0,
    );
    this.opset = options.opset ?? Math.max(least, opsetOf(tuned.proto));
    if (this.opset < least)
      throw new UserError(
        'unsupported-opset',
        `expected operator set ${least} or later for ${options.bakesPreprocessing ? 'preprocessing in the model' : 'int8'}, got \`${this.opset}\` (‹opset›)`,
      );
  }

  /** What tells of the ranges that {@link model} needs for int8, run on `pixels`, uint8 RGB [1, H, W, 3]. */
  calibration(method: CalibrationMethod): CalibrationModel {
    return calibrationModel(this.calibrated, this.selection.values, method);
  }

  /** @param ranges for int8: of the activations that {@link calibration} tells of. */
  model(ranges: ReadonlyMap<string, Range>, reducesRange = false): ModelProto {
    const {
      precision,
      softmax = false,
      sigmoid = false,
      bakesPreprocessing = false,
      forTransformersJs = false,
      batch,
    } = this.options;
    let graph: Graph = this.graph;
    if (precision === 'fp16') graph = halfPrecision(graph);
    if (precision === 'int8') {
      const { nodes } = this.selection;
      graph = halveVectors(quantize(graph, { nodes, ranges, reducesRange, storesAllWeights: true }));
    }
    if (softmax) graph = withShares(graph, 'Softmax', new Map([['axis', int(1)]]));
    if (sigmoid) graph = withShares(graph, 'Sigmoid', new Map());
    if (batch !== undefined) graph = withBatch(graph, batch);
    if (forTransformersJs) graph = givingLogits(graph);
    if (bakesPreprocessing)
      graph = forTransformersJs
        ? bakePreprocessing(graph, this.preprocessing, 'normalized', PIXEL_VALUES)
        : bakePreprocessing(graph, this.preprocessing);
    else if (forTransformersJs) graph = takingPixelValues(graph);
    const { metadataProps, graph: source } = this.tuned.proto;
    const model = modelOfGraph(this.written(graph), source?.name ?? '');
    if (precision === 'int8') shortenNames(model);
    model.metadataProps = metadataProps.map((entry) => ({ ...entry }));
    const [image] = model.graph?.input ?? [];
    if (bakesPreprocessing && image?.type?.tensorType?.shape)
      image.type.tensorType.shape.dim.forEach((dim, axis) => {
        const side = axis - (forTransformersJs ? 2 : 1);
        if (side === 0 || side === 1) dim.value = { case: 'dimParam', value: side === 0 ? 'height' : 'width' };
      });
    setMetadata(model, new Map([[METADATA.precision, precision]]));
    return model;
  }

  /** In the operator set that was asked for; or in the source's, or where that lacks something, in the one that ort-tl itself works in. */
  private written(graph: Graph): Graph {
    try {
      return inOpset(graph, this.opset);
    } catch (thrown) {
      if (this.options.opset !== undefined || !(thrown instanceof UserError)) throw thrown;
      return graph;
    }
  }
}

/** @throws UserError `not-expressible` where a model takes bytes or grey images, and `who` gives numbers for three colours. */
export function checkColours({ name, dtype, shape }: Pick<Value, 'name' | 'dtype' | 'shape'>, who: string): void {
  if (dtype === 'float32' && imageLayout(shape)?.channels === 3) return;
  throw new UserError(
    'not-expressible',
    `input "${name}" takes ${dtype === 'uint8' ? 'bytes' : 'grey images'}, and ${who} normalised numbers for three colours; let the model do its preprocessing (‹preprocessing› baked)`,
  );
}

function withShares(graph: Graph, op: 'Softmax' | 'Sigmoid', attributes: Node['attributes']): Graph {
  const [logits] = graph.outputs;
  if (!logits) throw new Error('the graph has no output');
  const shares = new Value('probabilities', 'float32', logits.shape);
  const node = new Node({
    op,
    name: 'probabilities',
    inputs: [logits],
    outputs: [shares],
    attributes,
  });
  return { ...graph, nodes: [...graph.nodes, node], outputs: [shares] };
}

/** What goes in and comes out states how many images it is for; Reshapes within follow. */
function withBatch(graph: Graph, batch: number): Graph {
  for (const value of [...graph.inputs, ...graph.outputs])
    if (value.shape) value.shape = [batch, ...value.shape.slice(1)];
  return graph;
}
