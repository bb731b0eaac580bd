import { UserError } from '../errors.js';
import { canonicalize } from '../graph/canonical.js';
import { describe, type Graph, type Node, showShape, type Value } from '../graph/graph.js';
import { ancestors } from '../graph/order.js';
import { graphOfModel, statedBatch } from '../graph/proto.js';
import { settle } from '../graph/settle.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { findLayers, type LayerTable } from '../policy/layers.js';
import { outputOf } from '../plain/oneResult.js';
import { OWN_NAMES } from '../plain/ownNames.js';
import { plainForm } from '../plain/plainForm.js';
import { appendHead, type FreshHead, noValueForHead, valueForHead } from './freshHead.js';
import { imageLayout } from './imageLayout.js';
import { checkImageShape } from '../plain/imageModel.js';
import { LARGEST_SIDE, METADATA, MOST_PIXELS } from './manifest.js';
import { USUAL_SIZE } from './preprocessing.js';
import { type Separated, separateParameters } from './separateParameters.js';
import type { Task } from './task.js';

/** A pretrained classifier, understood: its graph in canonical form, its layers, and where its logits are. */
export interface Classifier {
  readonly graph: Graph;
  readonly image: Value;
  readonly logits: Value;
  /** What made something else of the logits at its end, which is left out of the graph. */
  readonly ending: Node | undefined;
  readonly layers: LayerTable;
  readonly separated: readonly Separated[];
  /** The fully connected layer that was put behind the model, where one was asked for. */
  readonly freshHead: FreshHead | undefined;
  /** Height and width of the images it takes. */
  readonly imageSize: readonly [number, number];
}

/** How a model file is read. */
export interface Reading {
  /** The side of its images, where the file leaves that open. */
  readonly size?: number | undefined;
  /** That side where `size` says none. */
  readonly usual?: number | undefined;
  /** The output with the classes, where there are several. */
  readonly output?: string | undefined;
  /** The value on which a new layer gives the scores; empty for the model's result. */
  readonly head?: string | undefined;
}

/**
 * Understands a model file as an image classifier, in its plain form.
 * @throws UserError where it is none; see {@link plainForm}, {@link graphOfModel} and {@link findLayers}.
 */
export function classifierOf(model: Pick<ModelFile, 'proto' | 'path'>, reading: Reading = {}): Classifier {
  try {
    return understood(model, reading);
  } catch (thrown) {
    const { size, usual = USUAL_SIZE } = reading;
    if (!(thrown instanceof UserError) || thrown.code !== 'bad-model' || !leavesSidesOpen(model.proto)) throw thrown;
    const [reason] = thrown.text.split('; the model file');
    const side = size ?? usual;
    throw new UserError(
      'image-size',
      `${reason ?? ''}, with images of ${side}×${side} pixels, since ${model.path} leaves their size open; give the one that it was made for (‹size›), or a square that it takes`,
      { cause: thrown },
    );
  }
}

/** Whether a model's image is of any height or width. */
function leavesSidesOpen({ graph }: ModelProto): boolean {
  const dims = graph?.input[0]?.type?.tensorType?.shape?.dim ?? [];
  return dims.slice(1).filter(({ value }) => value.case !== 'dimValue' || value.value <= 0n).length > 0;
}

function understood(
  { proto, path }: Pick<ModelFile, 'proto' | 'path'>,
  { size, usual = USUAL_SIZE, output, head }: Reading,
): Classifier {
  const plain = plainForm(proto, path, outputOf(proto, { output, head })).proto;
  checkImageShape(plain, path);
  const graph = graphOfModel(plain, [size ?? usual, size ?? usual]);
  // What tf2onnx has folded away may still be declared as an input.
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  graph.inputs = graph.inputs.filter((input) => read.has(input));
  const [image, ...others] = graph.inputs;
  if (!image || others.length > 0) {
    throw new UserError(
      'unsupported-input',
      `${path} has ${graph.inputs.length} inputs (${graph.inputs.map(({ name, shape }) => `${name} ${showShape(shape)}`).join(', ')}), and ort-tl gives the image alone; make constants of the others (an initializer of the input's name), or export the model without them`,
    );
  }
  if (image.dtype !== 'float32' && image.dtype !== 'uint8') {
    throw new UserError(
      'unsupported-dtype',
      `input "${image.name}" of ${path} has element type ${image.dtype ?? 'unknown'}; ort-tl gives images as float32 or bytes (uint8)`,
    );
  }
  const sourceOpset = graph.opset;
  canonicalize(graph);
  const settled = () => {
    settle(graph, sourceOpset, statedBatch(plain, image.name));
  };
  const named = head ? valueForHead(graph, head) : undefined;
  if (head && !named) throw noValueForHead(graph, head, settled);
  graph.outputs = [named ?? classifierOutput(graph, path)];
  settled();
  const { logits, ending, isClassifier, freshHead } = resultOfModel(graph, plain, head);
  graph.outputs = [logits];
  graph.nodes = ancestors(graph.nodes, graph.outputs);
  giveWayWithin(graph);
  const layout = imageLayout(image.shape);
  if (layout) {
    const { height, width } = layout;
    const imageSize = [height, width] as const;
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
    return { graph, image, logits, ending, layers, separated, freshHead, imageSize };
  }
  throw new UserError(
    'unsupported-input',
    `input "${image.name}" of ${path} has shape ${showShape(image.shape)}; ort-tl gives images in colour or grey, [N, 3, H, W], [N, 1, H, W], or with the channels last`,
  );
}

/** Gives other names to values within that are called as what ort-tl adds, as features are that the model also gives. */
function giveWayWithin({ nodes, outputs }: Graph): void {
  const values = nodes.flatMap((node) => node.outputs).filter((value) => value !== undefined);
  const names = new Set(values.map(({ name }) => name));
  for (const value of values) {
    if (outputs.includes(value) || !OWN_NAMES.has(value.name)) continue;
    while (names.has(value.name)) value.name += '_within';
    names.add(value.name);
  }
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

/** What the scores of a model are, and what is known of them. */
interface Result {
  readonly logits: Value;
  /** The node that makes shares of them. */
  readonly ending: Node | undefined;
  /** Whether it is known that they are of classes. */
  readonly isClassifier: boolean;
  /** The layer that `head` asks for on the model's result. */
  readonly freshHead: FreshHead | undefined;
}

function resultOfModel(graph: Graph, proto: ModelProto, head: string | undefined): Result {
  const [output] = graph.outputs;
  if (!output) throw new Error('unreachable');
  if (head !== undefined) {
    const { logits, head: freshHead } = appendHead(graph, head === '' ? beforeEnding(output) : output, proto);
    return { logits, ending: undefined, isClassifier: true, freshHead };
  }
  const ending = endingOf(output);
  const isNamed = metadataOf(proto).has(METADATA.labels);
  return { logits: beforeEnding(output), ending, isClassifier: ending !== undefined || isNamed, freshHead: undefined };
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
