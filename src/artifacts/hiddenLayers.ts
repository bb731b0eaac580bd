import { UserError } from '../errors.js';
import { int, Node, Value } from '../graph/graph.js';
import { elementCount, floatTensor, type Tensor } from '../onnx/tensor.js';
import { channelAxes } from '../policy/classAxis.js';
import { axesBack } from '../policy/heads.js';
import type { Layer } from '../policy/layer.js';
import { Random } from '../random.js';
import type { Classifier } from './prepare.js';

/** A fresh fully connected layer with ReLU before the head. */
export interface HiddenLayer {
  readonly name: string;
  readonly units: number;
  /** Names of its parameters. */
  readonly weight: string;
  readonly bias: string;
}

/** An operator that hidden layers are made of: their head's, but for an Einsum's. */
type HiddenOperator = 'Gemm' | 'MatMul' | 'Conv';

/** The operator of hidden layers before a head by `op`. @throws UserError `unsupported-model` where there is none. */
export function hiddenOperator(op: string): HiddenOperator {
  if (op === 'Gemm' || op === 'MatMul' || op === 'Conv') return op;
  if (op === 'Einsum') return 'MatMul';
  throw new UserError('unsupported-model', `the head is a ${op}, and takes no hidden layers; leave ‹hidden› out`);
}

/**
 * The nodes of hidden layers that read `input`, in the head's own operator, and their result. They mean the same in every
 * operator set from 9 on. Weights are [outputs, inputs] for a Gemm, [inputs, outputs] for a MatMul, [outputs, inputs, 1, 1]
 * for a 1×1 convolution.
 */
export function hiddenNodes(
  op: HiddenOperator,
  input: Value,
  layers: readonly HiddenLayer[],
): { nodes: Node[]; output: Value } {
  const nodes: Node[] = [];
  let output = input;
  for (const { name, weight, bias } of layers) {
    const append = (kind: string, inputs: Value[], attributes: Node['attributes'] = new Map()) => {
      const node = new Node({
        op: kind,
        name: `${name}/${kind}`,
        inputs,
        outputs: [new Value(`${name}/${kind}_output`)],
        attributes,
      });
      nodes.push(node);
      return node.output();
    };
    const [w, b] = [new Value(weight, 'float32'), new Value(bias, 'float32')];
    const sum =
      op === 'MatMul'
        ? append('Add', [append('MatMul', [output, w]), b])
        : append(op, [output, w, b], op === 'Gemm' ? new Map([['transB', int(1)]]) : new Map());
    output = append('Relu', [sum]);
  }
  return { nodes, output };
}

/**
 * Puts fully connected layers with ReLU of so many `units` before the head, whose weight is left for {@link replaceHead} to
 * fill. Weights are uniform in ±√(6 / inputs) from `seed` (He et al. 2015), biases zero.
 */
export function insertHiddenLayers(
  { graph, layers }: Classifier,
  units: readonly number[],
  seed: number,
): { layers: Layer[]; hidden: HiddenLayer[] } {
  if (units.length === 0) return { layers: [], hidden: [] };
  const { head, weight, axis } = headWithInputs(layers.heads);
  const op = hiddenOperator(head.node.op);
  const features = weight.constant.dims[axis] ?? 0;

  const taken = new Set(
    graph.nodes.flatMap((node) => [node.name, ...[...node.inputs, ...node.outputs].map((value) => value?.name)]),
  );
  let prefix = 'hidden';
  while ([...taken].some((name) => name?.startsWith(`${prefix}_`))) prefix = `new_${prefix}`;
  const hidden = units.map((count, index): HiddenLayer => {
    const name = `${prefix}_${index + 1}`;
    return { name, units: count, weight: `${name}.weight`, bias: `${name}.bias` };
  });
  const { nodes, output } = hiddenNodes(op, head.node.input(0), hidden);
  graph.nodes.splice(graph.nodes.indexOf(head.node), 0, ...nodes);
  head.node.inputs[0] = output;

  const random = new Random(seed);
  let inputs = features;
  const fresh = hidden.map(({ name, units: outputs, weight: weightName, bias: biasName }): Layer => {
    const own = nodes.filter((node) => node.name.startsWith(`${name}/`));
    const valueCalled = (wanted: string): Value => {
      const value = own.flatMap((node) => node.inputs).find((input) => input?.name === wanted);
      if (!value) throw new Error('unreachable');
      return value;
    };
    const [w, b, node, end] = [valueCalled(weightName), valueCalled(biasName), own[0], own.at(-2)];
    if (!node || !end) throw new Error('unreachable');
    const stream = random.fork(name);
    const bound = Math.sqrt(6 / inputs);
    fill(w, shapeOf(op, inputs, outputs), () => (2 * stream.next() - 1) * bound);
    fill(b, [outputs], () => 0);
    inputs = outputs;
    return { kind: 'fc', name, node, output: end.output(), parameters: [w, b], shift: b, norm: undefined };
  });
  fill(weight, weight.constant.dims.with(axis, inputs), () => 0);
  return { layers: fresh, hidden };
}

/**
 * The head, its weight, and the axis of that which counts its inputs.
 * @throws UserError `unsupported-model` where several heads read several inputs, or one reads more than a row for each image.
 */
function headWithInputs(heads: readonly Layer[]): { head: Layer; weight: Value & { constant: Tensor }; axis: number } {
  const [head, ...others] = heads;
  if (!head || others.length > 0)
    throw new UserError(
      'unsupported-model',
      `the model has ${heads.length} heads (${heads.map(({ name }) => `"${name}"`).join(', ')}), and hidden layers stand before one; leave ‹hidden› out`,
    );
  const { node, parameters } = head;
  const [weight] = parameters;
  const at = node.inputs.findIndex((_, index) => channelAxes(node, index) !== undefined);
  const channels = channelAxes(node, at)?.weight ?? 0;
  const inputAxes = (node.input(at).shape ?? []).flatMap((dim, axis) => (axis === channels || dim === 1 ? [] : [axis]));
  const slot = inputAxes[0] ?? 1 - channels;
  const axis = weight && axesBack(node.input(at), slot).get(weight);
  if (!weight?.constant || axis === undefined || inputAxes.length > 1)
    throw new UserError(
      'unsupported-model',
      `the head "${head.name}" reads more than a row for each image, or has a weight that is computed, and takes no hidden layers; leave ‹hidden› out`,
    );
  return { head, weight: Object.assign(weight, { constant: weight.constant }), axis };
}

function shapeOf(op: HiddenOperator, inputs: number, outputs: number): number[] {
  if (op === 'MatMul') return [inputs, outputs];
  return op === 'Conv' ? [outputs, inputs, 1, 1] : [outputs, inputs];
}

function fill(value: Value, dims: readonly number[], next: () => number): void {
  value.constant = floatTensor(dims, Array.from({ length: elementCount(dims) }, next));
  value.shape = dims;
}
