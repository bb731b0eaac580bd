import { UserError } from '../errors.js';
import { dtypeOfCode } from '../onnx/tensor.js';
import { wholeTensor } from '../onnx/float16.js';
import { consumersOf, type Dim, type Graph, ints, isUniform, type Node, sameDim, Value } from './graph.js';
import { ancestors } from './order.js';
import { isNumber } from './dims.js';
import { knownDims } from './infer.js';
import { constantInts } from './integers.js';
import { operatorOf } from './operators.js';
import { stackImages } from './stacking/stackImages.js';
import { straighten } from './strided.js';

/** What the file says of the images that a source model takes. */
export interface SourceImages {
  /** How many at once; undefined where it leaves that open. */
  readonly batch: number | undefined;
}

/**
 * The passes that leave a classifier's result as it is: Identity and Dropout go, constants that a Cast makes float32 of are float32
 * from the start, as_strided and integer arithmetic on shapes become Reshapes and constants, and what no output needs is dropped.
 * Every value that remains has its shape. A source model, of which `images` are known, works on any number of them.
 * @throws UserError `bad-model`; `fixed-batch` for a source model that works on a fixed number and cannot be rewritten.
 */
export function simplify(graph: Graph, images?: SourceImages): void {
  foldCasts(graph);
  bypass(graph);
  if (images) {
    if (images.batch === undefined) followBatch(graph);
    stackImages(graph, images.batch);
  }
  straighten(graph);
  fixShapes(graph);
  graph.nodes = ancestors(graph.nodes, graph.outputs);
}

/** What is to be seen of a graph for any number of images while that is open, as long as the graph holds together so. */
function followBatch(graph: Graph): void {
  try {
    straighten(graph);
  } catch (thrown) {
    if (thrown instanceof UserError) return;
    throw thrown;
  }
  for (const node of graph.nodes) {
    // For one image, a Squeeze of all axes of length 1 would take that of the images too.
    const from = node.inputs[0]?.shape;
    if (node.op !== 'Squeeze' || node.domain !== '' || node.inputs[1] || !from) continue;
    const axes = from.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
    node.inputs = [node.inputs[0], constantInts(`${node.name}/axes`, axes)];
  }
}

/**
 * Takes out nodes that pass their input on. An Identity on a constant that others read too is how torch.onnx shares equal initial
 * values between parameters: where they are one number all over, each gets a constant of its own again, under its own name. Others
 * that are shared are tied.
 */
function bypass(graph: Graph): void {
  const replacement = new Map<Value, Value>();
  const readers = consumersOf(graph.nodes);
  const isSharedByChance = (value: Value) => (readers.get(value)?.length ?? 0) > 1 && isUniform(value);
  const resolve = (value: Value): Value => replacement.get(value) ?? value;
  graph.nodes = graph.nodes.filter((node) => {
    node.inputs = node.inputs.map((input) => input && resolve(input));
    if (!operatorOf(node)?.passesOn) return true;
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (!input || !output) return true;
    if (input.constant && isSharedByChance(input)) {
      output.producer = undefined;
      output.constant = input.constant;
      output.dtype = input.dtype;
      output.shape = input.shape;
    } else {
      replacement.set(output, input);
    }
    return false;
  });
  graph.outputs = graph.outputs.map(resolve);
}

/**
 * Takes out each Cast to float32 of a constant of floating point, as files have that store their weights in half the room. The
 * float32 constant has the stored one's name where nothing else reads that, so that a parameter is called as its initializer.
 */
function foldCasts(graph: Graph): void {
  const folds = (node: Node) => isWidening(node) && !graph.outputs.some((output) => node.outputs.includes(output));
  const read = new Set<Value>(graph.outputs);
  for (const node of graph.nodes)
    if (!folds(node)) for (const input of node.inputs) if (input?.constant) read.add(input);
  const wholes = new Map<Value, Value>();
  const replacement = new Map<Value, Value>();
  graph.nodes = graph.nodes.filter((node) => {
    node.inputs = node.inputs.map((input) => input && (replacement.get(input) ?? input));
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (!folds(node) || !input?.constant || !output) return true;
    const isAlone = !read.has(input);
    let whole = isAlone ? wholes.get(input) : undefined;
    if (!whole) {
      whole = new Value(isAlone ? input.name : output.name, 'float32', input.constant.dims);
      whole.constant = wholeTensor(input.constant);
      wholes.set(input, whole);
    }
    replacement.set(output, whole);
    return false;
  });
}

/** Whether a node makes float32 of a constant of floating point. */
function isWidening({ op, domain, inputs: [input], attributes }: Node): boolean {
  const to = attributes.get('to');
  if (op !== 'Cast' || domain !== '' || to?.kind !== 'int' || dtypeOfCode(to.value) !== 'float32') return false;
  const from = input?.constant?.dtype;
  return from === 'float16' || from === 'float32' || from === 'float64';
}

/** Replaces computed shape arguments by constants; the batch becomes 0 (kept from the input) or -1 (what remains). */
function fixShapes(graph: Graph): void {
  const known = knownDims(graph);
  for (const node of graph.nodes) {
    if (node.domain !== '') continue;
    for (const index of operatorOf(node)?.integerInputs ?? []) {
      const value = node.inputs[index];
      if (!value || value.constant) continue;
      // The shape of a Reshape's result says all of its target: a -1 beside the batch is a number there.
      const dims = node.op === 'Reshape' ? node.outputs[0]?.shape : known.get(value);
      const target =
        dims && (node.op === 'Reshape' ? reshapeTarget(dims) : dims.every(isNumber) ? [...dims] : undefined);
      if (target) node.inputs[index] = constantInts(`${value.name}/fixed/${node.name}`, target);
    }
    if (node.op === 'Resize') fixSizes(node, known);
  }
  for (const node of graph.nodes) freeBatch(node);
}

/** A Resize to computed sizes, of which the first is the batch: that one goes, the others become constants. */
function fixSizes(node: Node, known: ReadonlyMap<Value, readonly Dim[]>): void {
  const sizes = node.inputs[3];
  const [batch, ...dims] = (sizes && known.get(sizes)) ?? [];
  const from = node.inputs[0]?.shape?.[0];
  if (!sizes || node.ints('axes') || batch === undefined || from === undefined || !sameDim(batch, from)) return;
  if (!dims.every(isNumber) || node.inputs[1]?.constant?.data.length) return;
  node.inputs[3] = constantInts(`${sizes.name}/fixed/${node.name}`, dims);
  node.setAttribute('axes', ints(dims.map((_, axis) => axis + 1)));
}

function reshapeTarget(dims: readonly Dim[]): number[] | undefined {
  const symbolic = dims.filter((dim) => !isNumber(dim)).length;
  if (symbolic > 1 || (symbolic === 1 && dims.includes(-1))) return undefined;
  return dims.map((dim) => (isNumber(dim) ? dim : -1));
}

/** A file exported for a batch of 1 reshapes to [1, …]: where the batch has no other place, that 1 means the batch. */
function freeBatch(node: Node): void {
  const target = node.inputs[1];
  const from = node.inputs[0]?.shape;
  if (node.op !== 'Reshape' || !target?.constant || !from || from.every(isNumber)) return;
  const dims = Array.from(target.constant.data as BigInt64Array, Number);
  if (dims[0] !== 1 || dims.includes(-1) || dims.includes(0)) return;
  node.inputs[1] = constantInts(`${target.name}/batch/${node.name}`, [-1, ...dims.slice(1)]);
}
