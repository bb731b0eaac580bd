import { messageOf, UserError } from '../errors.js';
import { consumersOf, describe, isUniform, type Node, sameDim, showShape, Value } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { descendants } from '../graph/order.js';
import { infersShapeOf } from '../graph/shapes.js';
import { isMadeToStack } from '../graph/stacking/stack.js';
import { elementCount, floatTensor, intTensor, type Tensor, toNumbers } from '../onnx/tensor.js';
import type { ClassRows } from '../policy/heads.js';
import { Random } from '../random.js';
import type { Classifier } from './prepare.js';
import type { Separated } from './separateParameters.js';
import { keepRows, type WarmStart } from './warmStart.js';

/** What of a model has another size with its new classes, beside the parameters of its heads. */
export interface Resized {
  /** Nodes whose results' shapes the model states, and what it states now. */
  readonly reshapes: { node: string; shape: number[] }[];
  /** Constants that do not train. */
  readonly constants: readonly Separated[];
}

/**
 * Gives the layers that tell a classifier's scores `classes` outputs, with fresh weights: uniform in ±1/√(inputs) from `seed`, biases
 * zero (PyTorch's default for a linear layer's weights), and normalizations behind them that change nothing. A head that has as many
 * outputs already is replaced too; what `warmStart` names of it stays.
 */
export function replaceHead(classifier: Classifier, classes: number, seed: number, warmStart: WarmStart): Resized {
  const { graph, layers, logits } = classifier;
  const before = logits.shape?.[1];
  const random = new Random(seed);
  const weights = new Map<Value, Random>();
  layers.heads.forEach((head, index) => {
    const [weight] = head.parameters;
    if (weight) weights.set(weight, random.fork(index === layers.heads.length - 1 ? 'head' : `head ${head.name}`));
  });
  const learned = new Set(layers.heads.flatMap(({ parameters }) => parameters));
  const constants: Separated[] = [];
  for (const [value, rows] of byConstant(layers.classwise.rows)) {
    const [first] = rows;
    if (!value.constant || !first) continue;
    const stream = weights.get(value);
    const fresh = stream ? uniform(value.constant, first.axis, classes, stream) : filled(value, first, classes);
    keepRows(
      { dims: fresh.dims, data: fresh.data },
      { dims: value.constant.dims, data: toNumbers(value.constant) },
      first.axis,
      warmStart,
    );
    const renewed = learned.has(value) ? value : apart(value, rows, classifier);
    renewed.constant = floatTensor(fresh.dims, fresh.data);
    renewed.shape = fresh.dims;
    if (!learned.has(value))
      for (const { node, input } of rows) constants.push({ value: renewed, ...node.placeOf(input) });
  }
  const reshapes = restate(classifier, classes);
  try {
    inferGraph(graph);
  } catch (thrown) {
    const reason = thrown instanceof UserError && thrown.cause instanceof Error ? thrown.cause : thrown;
    throw new UserError(
      'no-classifier',
      `something in the model holds on to its ${showShape(before === undefined ? undefined : [before])} classes, and does not fit with ${classes}: ${messageOf(reason)}`,
      { cause: thrown },
    );
  }
  checkResult(classifier, classes);
  return { reshapes, constants };
}

/** @throws UserError where the scores are not one row of `classes` for each image. */
function checkResult({ graph, layers, logits }: Classifier, classes: number): void {
  const got = logits.shape;
  const outputs = layers.heads.map(({ node }) => node.output());
  const alien = descendants(graph.nodes, outputs).nodes.find((node) => !infersShapeOf(node));
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
      `with ${classes} classes the model's result has shape ${showShape(got)}, not [N, ${classes}]: something after "${layers.heads.at(-1)?.name ?? ''}" expects the old number of classes`,
    );
  }
}

function byConstant(rows: readonly ClassRows[]): Map<Value, ClassRows[]> {
  const found = new Map<Value, ClassRows[]>();
  for (const each of rows) {
    const value = each.node.input(each.input);
    found.set(value, [...(found.get(value) ?? []), each]);
  }
  return found;
}

function uniform(
  { dims }: Tensor,
  axis: number,
  classes: number,
  random: Random,
): { dims: number[]; data: Float32Array } {
  const fresh = dims.with(axis, classes);
  const inputs = elementCount(dims.toSpliced(axis, 1));
  const bound = 1 / Math.sqrt(inputs);
  return { dims: fresh, data: Float32Array.from({ length: classes * inputs }, () => (2 * random.next() - 1) * bound) };
}

/** What changes nothing in its place: ones to multiply by, zeros to add. A slope that is the same for all classes stays so. */
function filled(
  value: Value,
  { node, input, axis }: ClassRows,
  classes: number,
): { dims: number[]; data: Float32Array } {
  const dims = (value.constant?.dims ?? []).with(axis, classes);
  const multiplies = ['Div', 'Mul', 'PRelu', 'Pow'].includes(node.op) || isScale(node, input);
  const [number] =
    node.op === 'PRelu' && isUniform(value) && value.constant ? toNumbers(value.constant) : [multiplies ? 1 : 0];
  return { dims, data: new Float32Array(elementCount(dims)).fill(number ?? 0) };
}

/** Whether an input of a normalization is its scale or its variance. */
const isScale = ({ op }: Node, input: number) => op.endsWith('Normalization') && (input === 1 || input === 4);

/** The constant itself where nothing else reads it; else one of its own for those that have rows of classes. */
function apart(value: Value, rows: readonly ClassRows[], { graph }: Classifier): Value {
  const readers = consumersOf(graph.nodes).get(value) ?? [];
  if (readers.every((reader) => rows.some(({ node }) => node === reader))) return value;
  const names = new Set(
    graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]).map((each) => each?.name),
  );
  let name = `${value.name}/of_classes`;
  while (names.has(name)) name += '_';
  const own = new Value(name, value.dtype, value.shape);
  for (const { node, input } of rows) node.inputs[input] = own;
  return own;
}

/** States the new number of classes where the model states the old one as part of a shape. */
function restate({ layers }: Classifier, classes: number): { node: string; shape: number[] }[] {
  return layers.classwise.shapes.flatMap(({ node, axis }) => {
    const target = node.input(1);
    const numbers = target.constant ? toNumbers(target.constant) : [];
    const at = axis - (node.output().shape?.length ?? 0) + numbers.length;
    if ((numbers[at] ?? 0) < 1) return [];
    const shape = numbers.with(at, classes);
    // A constant of its own: others may read the old one.
    const fitting = new Value(`${target.name}/${node.name}/${classes}`, 'int64', [shape.length]);
    fitting.constant = intTensor([shape.length], shape);
    node.inputs[1] = fitting;
    return isMadeToStack(node) ? [] : [{ node: node.name, shape }];
  });
}
