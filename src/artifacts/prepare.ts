import { messageOf, UserError } from '../errors.js';
import { canonicalize, refuseFlattenedSoftmax } from '../graph/canonical.js';
import { describe, type Graph, int, ints, Node, sameDim, showShape, Value } from '../graph/graph.js';
import { ancestors, descendants } from '../graph/order.js';
import { graphOfModel } from '../graph/proto.js';
import { simplify } from '../graph/simplify.js';
import { inferGraph } from '../graph/infer.js';
import { infersShapeOf } from '../graph/shapes.js';
import { dtypeCode, floatTensor, intTensor, type Tensor, toNumbers } from '../onnx/tensor.js';
import type { ModelFile } from '../onnx/model.js';
import { findLayers, type LayerTable } from '../policy/layers.js';
import { Random } from '../random.js';
import { LARGEST_SIDE, MOST_PIXELS, PIXELS, type Preprocessing } from './manifest.js';
import { USUAL_SIZE } from './preprocessing.js';
import { type Separated, separateParameters } from './separateParameters.js';
import type { Task } from './task.js';
import { keepRows, type WarmStart } from './warmStart.js';

/** A pretrained classifier, understood: its graph in canonical form, its layers, and where its logits are. */
export interface Classifier {
  readonly graph: Graph;
  readonly image: Value;
  readonly logits: Value;
  /** What made something else of the logits at its end, which is left out of the graph. */
  readonly ending: Node | undefined;
  readonly layers: LayerTable;
  readonly separated: readonly Separated[];
  /** Height and width of the images it takes. */
  readonly imageSize: readonly [number, number];
}

/**
 * Understands a model file as an image classifier. `size` is the side of its images where the file leaves that open; without it, that is
 * `usual`.
 * @throws UserError where it is none; see {@link graphOfModel} and {@link findLayers}.
 */
export function classifierOf({ proto, path }: ModelFile, size?: number, usual = USUAL_SIZE): Classifier {
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
  graph.outputs = [classifierOutput(graph, path)];
  simplify(graph);
  refuseFlattenedSoftmax(graph, sourceOpset);
  const [output] = graph.outputs;
  if (!output) throw new Error('unreachable');
  const ending = endingOf(output);
  const logits = beforeEnding(output);
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
    return { graph, image, logits, ending, layers: findLayers(graph, logits), separated, imageSize };
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
export const SHAPING: ReadonlySet<string> = new Set(['Flatten', 'Identity', 'Reshape', 'Squeeze']);

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

/** Operators that make shares of logits at the end of a model. */
const ENDINGS: ReadonlySet<string> = new Set(['Softmax', 'LogSoftmax', 'Sigmoid', 'HardSigmoid']);

function endingOf(output: Value): Node | undefined {
  const { node } = computing(output);
  return node && ENDINGS.has(node.op) ? node : undefined;
}

/** A model that ends in Softmax or Sigmoid trains on what goes into it, given the shape of the result. */
function beforeEnding(output: Value): Value {
  const { node, shaping } = computing(output);
  if (!node || !ENDINGS.has(node.op)) return output;
  if (!shaping) return node.input(0);
  shaping.inputs[0] = node.input(0);
  return output;
}

/** @throws UserError `no-classifier` for a model that says yes or no to every class by itself, where images have one class each. */
export function refuseSigmoid({ ending }: Classifier, task: Task): void {
  if (task === 'labels' || (ending?.op !== 'Sigmoid' && ending?.op !== 'HardSigmoid')) return;
  throw new UserError(
    'no-classifier',
    `${describe(ending)} ends the model, so it says yes or no to every class by itself, while photos of one class each are to be trained on; say that they have any number of labels (‹task› labels), or export the model without it`,
  );
}

/**
 * Gives the classifier's last FC layer `classes` outputs, with fresh weights: uniform in ±1/√(inputs) from `seed`, biases
 * zero (PyTorch's default for a linear layer's weights). A head that has as many outputs already is replaced too; what `warmStart`
 * names of it stays.
 * @returns the Reshapes behind it that stated the old number of classes, and their shapes now.
 */
export function replaceHead(
  { graph, layers, logits }: Classifier,
  classes: number,
  seed: number,
  warmStart: WarmStart,
): { node: string; shape: number[] }[] {
  const head = layers.fcs.at(-1);
  if (!head) throw new Error('unreachable');
  const [weight, bias] = head.parameters;
  if (!weight?.constant) throw new Error('unreachable');
  const [first = 0, second = 0, ...kernel] = weight.constant.dims;
  const transposed = head.node.op === 'Conv' || head.node.int('transB', 0) === 1;
  const [before, inputs] = transposed ? [first, second] : [second, first];
  const random = new Random(seed).fork('head');
  const bound = 1 / Math.sqrt(inputs);
  const values = Float32Array.from({ length: classes * inputs }, () => (2 * random.next() - 1) * bound);
  const rows = { now: classes, before, isTransposed: transposed };
  keepRows(values, toNumbers(weight.constant), rows, warmStart);
  setConstant(weight, floatTensor(transposed ? [classes, inputs, ...kernel] : [inputs, classes], values));
  if (bias) {
    const biases = new Float32Array(classes);
    if (bias.constant) keepRows(biases, toNumbers(bias.constant), rows, warmStart);
    setConstant(bias, floatTensor([classes], biases));
  }
  const reshapes: { node: string; shape: number[] }[] = [];
  for (const node of descendants(graph.nodes, [head.node.output()]).nodes) {
    const target = node.op === 'Reshape' ? node.inputs[1] : undefined;
    if (!target?.constant || !toNumbers(target.constant).includes(before)) continue;
    const shape = toNumbers(target.constant).map((dim) => (dim === before ? classes : dim));
    // A constant of its own: others may read the old one.
    const fitting = new Value(`${target.name}/${node.name}/${classes}`, 'int64', [shape.length]);
    fitting.constant = intTensor([shape.length], shape);
    node.inputs[1] = fitting;
    reshapes.push({ node: node.name, shape });
  }
  try {
    inferGraph(graph);
  } catch (thrown) {
    throw new UserError(
      'no-classifier',
      `with ${classes} classes the model no longer fits together: ${messageOf(thrown)}`,
      { cause: thrown },
    );
  }
  const got = logits.shape;
  const alien = descendants(graph.nodes, [head.node.output()]).nodes.find((node) => !infersShapeOf(node));
  if (!got && alien) {
    throw new UserError(
      'no-gradient-rule',
      `${describe(alien)} lies between the classifier's last layer and the loss, and has no gradient rule; every policy trains through it, so export the model without that operator`,
    );
  }
  const unknown = graph.nodes.find((node) => !infersShapeOf(node));
  if (!got && unknown) {
    throw new UserError(
      'unsupported-operator',
      `${describe(unknown)} is an operator that ort-tl does not know, and the model does not state the shape of its result; export the model without it`,
    );
  }
  if (got?.length !== 2 || !sameDim(got[0] ?? 0, { batch: 1 }) || got[1] !== classes) {
    throw new UserError(
      'no-classifier',
      `with ${classes} classes the model's result has shape ${showShape(got)}, not [N, ${classes}]: something after "${head.name}" expects the old number of classes`,
    );
  }
  return reshapes;
}

function setConstant(value: Value, constant: Tensor): void {
  value.constant = constant;
  value.shape = constant.dims;
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
