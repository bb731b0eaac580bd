import { UserError } from '../errors.js';
import { canonicalize, refuseFlattenedSoftmax } from '../graph/canonical.js';
import { describe, type Graph, int, ints, Node, showShape, Value } from '../graph/graph.js';
import { ancestors } from '../graph/order.js';
import { foldIntegers } from '../graph/foldIntegers.js';
import { graphOfModel } from '../graph/proto.js';
import { simplify } from '../graph/simplify.js';
import { unrollStandardization } from '../graph/standardize.js';
import { inferGraph } from '../graph/infer.js';
import { dtypeCode, floatTensor, intTensor, type Tensor } from '../onnx/tensor.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';
import { findLayers, type LayerTable } from '../policy/layers.js';
import { appendHead, type FreshHead, valueForHead } from './freshHead.js';
import { LARGEST_SIDE, METADATA, MOST_PIXELS, PIXELS, type Preprocessing } from './manifest.js';
import { USUAL_SIZE } from './preprocessing.js';
import { type Separated, separateParameters } from './separateParameters.js';

/** A pretrained classifier, understood: its graph in canonical form, its layers, and where its logits are. */
export interface Classifier {
  readonly graph: Graph;
  readonly image: Value;
  readonly logits: Value;
  readonly layers: LayerTable;
  readonly separated: readonly Separated[];
  /** The fully connected layer that was put behind the model, where one was asked for. */
  readonly freshHead: FreshHead | undefined;
  /** Height and width of the images it takes. */
  readonly imageSize: readonly [number, number];
}

/**
 * Understands a model file as an image classifier. `size` is the side of its images where the file leaves that open; without it, that is
 * `usual`. With `head` the scores are those of a new layer on the value of that name, or on the model's result where the name is empty.
 * @throws UserError where it is none; see {@link graphOfModel} and {@link findLayers}.
 */
export function classifierOf(model: ModelFile, size?: number, usual = USUAL_SIZE, head?: string): Classifier {
  const { proto, path } = model;
  const graph = graphOfModel(proto, [size ?? usual, size ?? usual]);
  // What tf2onnx has folded away may still be declared as an input.
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  graph.inputs = graph.inputs.filter((input) => read.has(input));
  const [image, ...others] = graph.inputs;
  if (!image || others.length > 0) {
    throw new UserError(
      'unsupported-input',
      `${path} has ${graph.inputs.length} inputs (${graph.inputs.map(({ name }) => name).join(', ')}); ort-tl needs exactly one, the image`,
    );
  }
  const sourceOpset = graph.opset;
  canonicalize(graph);
  graph.outputs = [head ? valueForHead(graph, head) : classifierOutput(graph, path)];
  simplify(graph);
  foldIntegers(graph);
  unrollStandardization(graph);
  refuseFlattenedSoftmax(graph, sourceOpset);
  const { logits, isClassifier, freshHead } = resultOfModel(graph, model, head);
  graph.outputs = [logits];
  graph.nodes = ancestors(graph.nodes, graph.outputs);
  if (image.dtype !== 'float32') {
    throw new UserError(
      'unsupported-dtype',
      `input "${image.name}" of ${path} has element type ${image.dtype ?? 'unknown'}; ort-tl trains float32 models`,
    );
  }
  const imageSize = sizeOfImages(image);
  if (imageSize) {
    const [height, width] = imageSize;
    if (Math.max(height, width) > LARGEST_SIDE || height * width > MOST_PIXELS) {
      throw new UserError(
        'image-size',
        `${path} is asked to take images of ${imageSize.join('×')} pixels, and ort-tl stops at ${LARGEST_SIDE} a side and ${MOST_PIXELS} in all; choose a smaller size (‹size›)`,
      );
    }
    if (size !== undefined && imageSize.some((side) => side !== size)) {
      throw new UserError(
        'image-size',
        `${path} takes images of ${imageSize.join('×')} pixels and no others, got ${size} (‹size›); leave the flag out`,
      );
    }
    const separated = separateParameters(graph);
    const layers = findLayers(graph, logits, isClassifier);
    return { graph, image, logits, layers, separated, freshHead, imageSize };
  }
  throw new UserError(
    'unsupported-input',
    `input "${image.name}" of ${path} has shape ${showShape(image.shape)}; ort-tl needs colour images, [N, 3, H, W] or [N, H, W, 3]`,
  );
}

/** Height and width of colour images, [N, 3, H, W] or [N, H, W, 3]; undefined for anything else. */
function sizeOfImages({ shape }: Value): readonly [number, number] | undefined {
  const [, a, b, c] = shape ?? [];
  if (shape?.length !== 4) return undefined;
  const [height, width] = a === 3 ? [b, c] : c === 3 ? [a, b] : [];
  return typeof height === 'number' && typeof width === 'number' ? [height, width] : undefined;
}

/** The output that holds the classes: of several, the one that no other output is computed from. */
function classifierOutput(graph: Graph, path: string): Value {
  const read = new Set(ancestors(graph.nodes, graph.outputs).flatMap(({ inputs }) => inputs));
  const last = graph.outputs.filter((output) => !read.has(output));
  const [output] = last;
  if (!output || last.length > 1) {
    const names = last.map(({ name }) => `"${name}"`).join(', ');
    throw new UserError(
      'several-outputs',
      `${path} has several results (${names}), and ort-tl cannot tell which are the classes; export it with one output`,
    );
  }
  return output;
}

/** Operators that write their input's numbers in another shape. */
const SHAPING: ReadonlySet<string> = new Set(['Flatten', 'Identity', 'Reshape', 'Squeeze']);

/** The node that computes a value, apart from operators that only shape it, and which of these came last. */
function computing(output: Value): { node: Node | undefined; shaping: Node | undefined } {
  let node = output.producer;
  let shaping: Node | undefined;
  while (node && SHAPING.has(node.op)) {
    shaping = node;
    node = node.inputs[0]?.producer;
  }
  return { node, shaping };
}

/** The scores of a model, whether it is known that they are of classes, and the layer that `head` asks for on its result. */
function resultOfModel(graph: Graph, { proto }: ModelFile, head: string | undefined) {
  const [output] = graph.outputs;
  if (!output) throw new Error('unreachable');
  if (head !== undefined) {
    const freshHead = appendHead(graph, head === '' ? beforeSoftmax(output).logits : output, proto);
    return { logits: freshHead.logits, isClassifier: true, freshHead: freshHead.head };
  }
  refuseSigmoid(output);
  const { logits, isClassifier } = beforeSoftmax(output);
  const isNamed = metadataOf(proto).has(METADATA.labels);
  return { logits, isClassifier: isClassifier || isNamed, freshHead: undefined };
}

/** A model that ends in Softmax trains on what goes into it, given the shape of the result, and is a classifier for sure. */
function beforeSoftmax(output: Value): { logits: Value; isClassifier: boolean } {
  const { node, shaping } = computing(output);
  if (node?.op !== 'Softmax' && node?.op !== 'LogSoftmax') return { logits: output, isClassifier: false };
  if (!shaping) return { logits: node.input(0), isClassifier: true };
  shaping.inputs[0] = node.input(0);
  return { logits: output, isClassifier: true };
}

/** @throws UserError `no-classifier` for a model that says yes or no to every class by itself. */
function refuseSigmoid(output: Value): void {
  const { node } = computing(output);
  if (node?.op !== 'Sigmoid' && node?.op !== 'HardSigmoid') return;
  throw new UserError(
    'no-classifier',
    `${describe(node)} ends the model, so it says yes or no to every class by itself, while ort-tl trains one class for each image; export the model without it`,
  );
}

/**
 * Puts the preprocessing before the model: its input becomes `pixels`, uint8 RGB [N, H, W, 3], so that photos travel as
 * bytes and the runtime does the arithmetic.
 */
export function prependPreprocessing({ graph, image, imageSize }: Classifier, { mean, std }: Preprocessing): void {
  const pixels = new Value(PIXELS, 'uint8', [{ batch: 1 }, ...imageSize, 3]);
  const channelsFirst = image.shape?.[1] === 3;
  const constant = (name: string, tensor: Tensor): Value => {
    const value = new Value(`${PIXELS}/${name}`, tensor.dtype, tensor.dims);
    value.constant = tensor;
    return value;
  };
  const perChannel = (name: string, numbers: readonly number[]) =>
    constant(name, floatTensor(channelsFirst ? [3, 1] : [3], numbers));
  const nodes: Node[] = [];
  const append = (
    op: string,
    inputs: Value[],
    attributes: Node['attributes'] = new Map(),
    output = new Value(`${PIXELS}/${op}`),
  ): Value => {
    nodes.push(new Node({ op, name: output.name, inputs, outputs: [output], attributes }));
    return output;
  };
  let value = append('Cast', [pixels], new Map([['to', int(dtypeCode('float32'))]]));
  if (channelsFirst) {
    value = append('Transpose', [value], new Map([['perm', ints([0, 3, 1, 2])]]));
    // In planes: ONNX Runtime would otherwise move the transposition behind the arithmetic, where each channel is one number of three.
    value = append('Reshape', [value, constant('planes', intTensor([3], [0, 3, -1]))]);
  }
  const [scale, shift] = [std.map((s) => 1 / (255 * s)), mean.map((m, channel) => -m / (std[channel] ?? 1))];
  value = append('Mul', [value, perChannel('scale', scale)]);
  const normalized = append('Add', [value, perChannel('shift', shift)], new Map(), channelsFirst ? undefined : image);
  if (channelsFirst)
    append('Reshape', [normalized, constant('image', intTensor([4], [0, 3, ...imageSize]))], new Map(), image);
  graph.inputs = [pixels];
  graph.nodes = [...nodes, ...graph.nodes];
  inferGraph(graph);
}
