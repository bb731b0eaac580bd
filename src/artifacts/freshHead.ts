import { UserError } from '../errors.js';
import { type Graph, int, ints, Node, showShape, Value } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { floatTensor } from '../onnx/tensor.js';
import { nearestNames } from '../policy/glob.js';

/** What makes a row for each image of a value: channels put first, places averaged, axes of length 1 left out. */
type Step = 'channels-first' | 'tokens-last' | 'average' | 'flatten';

/** A fully connected layer that was put on a value of a model, in place of what is behind it. */
export interface FreshHead {
  readonly name: string;
  /** The value of the source model. */
  readonly on: string;
  readonly steps: Step[];
}

/** Names of what a fresh head is made of. */
export const partsOfHead = ({ name }: FreshHead) => ({
  weight: `${name}.weight`,
  bias: `${name}.bias`,
  output: `${name}/logits`,
});

/**
 * The nodes of a fresh head, which read `input`; they mean the same in every operator set from 9 on. Its weight is
 * [classes, features].
 */
export function nodesOfHead(
  head: FreshHead,
  input: Value,
): { nodes: Node[]; output: Value; weight: Value; bias: Value } {
  const nodes: Node[] = [];
  const names = partsOfHead(head);
  const append = (op: string, inputs: Value[], attributes: Node['attributes'], output: string): Value => {
    const result = new Value(output);
    nodes.push(new Node({ op, name: op === 'Gemm' ? head.name : output, inputs, outputs: [result], attributes }));
    return result;
  };
  let value = input;
  for (const step of head.steps) {
    const output = `${head.name}/${step}`;
    if (step === 'channels-first')
      value = append('Transpose', [value], new Map([['perm', ints([0, 3, 1, 2])]]), output);
    if (step === 'tokens-last') value = append('Transpose', [value], new Map([['perm', ints([0, 2, 1])]]), output);
    if (step === 'average') value = append('GlobalAveragePool', [value], new Map(), output);
    if (step === 'flatten') value = append('Flatten', [value], new Map([['axis', int(1)]]), output);
  }
  const [weight, bias] = [new Value(names.weight, 'float32'), new Value(names.bias, 'float32')];
  const output = append('Gemm', [value, weight, bias], new Map([['transB', int(1)]]), names.output);
  return { nodes, output, weight, bias };
}

/** The value that is called `name`, or that the node of that name gives. @throws UserError `bad-head` where there is none. */
export function valueForHead(graph: Graph, name: string): Value {
  const values = [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.outputs];
  const found =
    values.find((value) => value?.name === name) ?? graph.nodes.find((node) => node.name === name)?.outputs[0];
  if (found) return found;
  const names = [...new Set(values.flatMap((value) => (value ? [value.name] : [])))];
  const near = nearestNames(name, names, 3).map((each) => `"${each}"`);
  throw new UserError('bad-head', `the model has no value called "${name}"; near it are ${near.join(', ')} (‹head›)`);
}

/** How many classes a fresh head tells apart before it is given those of the photos. */
const CLASSES = 2;

/**
 * Puts a fully connected layer on `value`: on its features, on their mean over a map [N, C, H, W] or [N, H, W, C], or over tokens
 * [N, T, D]. @throws UserError `bad-head` for a value that is none of these.
 */
export function appendHead(graph: Graph, value: Value, source: ModelProto): { head: FreshHead; logits: Value } {
  const steps = stepsFor(value);
  const name = freeName(source);
  const head: FreshHead = { name, on: value.name, steps };
  const { nodes, output, weight, bias } = nodesOfHead(head, value);
  const features = featuresOf(value, steps);
  give(weight, [CLASSES, features]);
  give(bias, [CLASSES]);
  graph.nodes = [...graph.nodes, ...nodes];
  graph.outputs = [output];
  inferGraph(graph);
  return { head, logits: output };
}

function give(value: Value, dims: readonly number[]): void {
  value.constant = floatTensor(dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));
  value.shape = dims;
}

function stepsFor({ name, shape, dtype }: Value): Step[] {
  const [images, ...dims] = shape ?? [];
  const isWhole = dims.every((dim) => typeof dim === 'number');
  const isOfImages = typeof images === 'object' && images.batch === 1;
  if (dtype === 'float32' && isWhole && isOfImages) {
    if (dims.length === 1) return [];
    if (dims.filter((dim) => dim !== 1).length <= 1) return ['flatten'];
    if (dims.length === 2) return ['tokens-last', 'average', 'flatten'];
    const [a, b, c] = dims;
    const isLast = a === b && b !== c;
    if (dims.length === 3) return isLast ? ['channels-first', 'average', 'flatten'] : ['average', 'flatten'];
  }
  throw new UserError(
    'bad-head',
    `"${name}" is ${dtype ?? 'of an unknown type'} ${showShape(shape)}, and a head takes float32 features [N, D], a map [N, C, H, W] or tokens [N, T, D]; name another value (‹head›)`,
  );
}

function featuresOf({ shape }: Value, steps: readonly Step[]): number {
  const dims = (shape ?? []).slice(1).map(Number);
  if (steps.length < 2) return dims.reduce((product, dim) => product * dim, 1);
  return (steps[0] === 'average' ? dims[0] : dims.at(-1)) ?? 1;
}

function freeName({ graph }: ModelProto): string {
  const taken = [
    ...(graph?.node ?? []).flatMap(({ name, input, output }) => [name, ...input, ...output]),
    ...(graph?.initializer ?? []).map(({ name }) => name),
  ];
  let name = 'head';
  while (taken.some((each) => each === name || each.startsWith(`${name}.`) || each.startsWith(`${name}/`)))
    name = `new_${name}`;
  return name;
}
