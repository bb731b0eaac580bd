import { UserError } from '../errors.js';
import { type Graph, int, ints, Node, showShape, Value } from '../graph/graph.js';
import { inferGraph } from '../graph/infer.js';
import { descendants } from '../graph/order.js';
import { nearestNames } from '../nearestNames.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { floatTensor } from '../onnx/tensor.js';

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

/** The value that is called `name`, or that the node of that name gives; undefined where there is none. */
export function valueForHead(graph: Graph, name: string): Value | undefined {
  return (
    valuesOf(graph).find((value) => value.name === name) ?? graph.nodes.find((node) => node.name === name)?.outputs[0]
  );
}

const valuesOf = ({ inputs, nodes, outputs }: Graph): Value[] =>
  [...inputs, ...nodes.flatMap((node) => node.outputs), ...outputs].filter((value) => value !== undefined);

/** How many names a message tells of those that were perhaps meant. */
const NEAR = 5;

/**
 * The error `bad-head` for a name that no value of the model has: it tells those near it that a head could be put on.
 * @param settle finds the graph's shapes, as far as they can be found.
 */
export function noValueForHead(graph: Graph, name: string, settle: () => void): UserError {
  // What is computed of the images' numbers, not of their shape alone.
  const followed = graph.nodes.filter(({ op }) => op !== 'Shape' && op !== 'Size');
  const { values } = descendants(followed, graph.inputs);
  const named = valuesOf(graph).filter((value) => values.has(value) && !graph.inputs.includes(value));
  try {
    settle();
  } catch (thrown) {
    // A name that is wrong is told before a model that is.
    if (!(thrown instanceof UserError)) throw thrown;
  }
  const isPlace = (value: Value) => stepsFor(value) && (value.shape?.length ?? 0) > 1;
  const places = new Map(named.filter(isPlace).map((value) => [value.name, showShape(value.shape)]));
  const near = nearestNames(name, [...places.keys()].reverse(), NEAR).map(
    (each) => `"${each}" ${places.get(each) ?? ''}`,
  );
  const hint = near.length > 0 ? `; near it are ${near.join(', ')}` : '';
  return new UserError('bad-head', `the model has no value called "${name}"${hint} (‹head›)`);
}

/** How many classes a fresh head tells apart before it is given those of the photos. */
const CLASSES = 2;

/**
 * Puts a fully connected layer on `value`: on its features, on their mean over a map [N, C, H, W] or [N, H, W, C], or over tokens
 * [N, T, D]. @throws UserError `bad-head` for a value that is none of these.
 */
export function appendHead(graph: Graph, value: Value, source: ModelProto): { head: FreshHead; logits: Value } {
  const steps = stepsFor(value);
  if (!steps) throw noFeatures(value);
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

/** What makes a row for each image of a value; undefined for one that is no features, map or tokens. */
function stepsFor({ shape, dtype }: Value): Step[] | undefined {
  const [images, ...dims] = shape ?? [];
  const isWhole = dims.every((dim) => typeof dim === 'number');
  const isOfImages = typeof images === 'object' && images.batch === 1;
  if (dtype !== 'float32' || !isWhole || !isOfImages) return undefined;
  if (dims.length === 1) return [];
  if (dims.filter((dim) => dim !== 1).length <= 1) return ['flatten'];
  if (dims.length === 2) return ['tokens-last', 'average', 'flatten'];
  if (dims.length !== 3) return undefined;
  const [a, b, c] = dims;
  const isLast = a === b && b !== c;
  return isLast ? ['channels-first', 'average', 'flatten'] : ['average', 'flatten'];
}

const noFeatures = ({ name, shape, dtype }: Value) =>
  new UserError(
    'bad-head',
    `"${name}" is ${dtype ?? 'of an unknown type'} ${showShape(shape)}, and a head takes float32 features [N, D], a map [N, C, H, W] or tokens [N, T, D]; name another value (‹head›)`,
  );

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
