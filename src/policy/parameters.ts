import { consumersOf, type Graph, isUniform, type Node, type Value } from '../graph/graph.js';
import { operatorOf } from '../graph/operators.js';
import { constantNodes } from '../graph/order.js';
import { elementCount, floats } from '../onnx/tensor.js';
import {
  areSinesAndCosines,
  isBlur,
  isGenerated,
  readValues,
  soundsKept,
  soundsLearned,
  soundsLearnedAlone,
} from './bufferValues.js';

/** A tensor of floating point that a network computes with and has not learned. */
export interface KeptTensor {
  readonly value: Value;
  /** What it was taken for. */
  readonly reason: string;
}

/** Which constants of a graph are parameters. */
export interface Parameters {
  /** The parameters that a value is, or is computed from alone, the largest first; none where it depends on the image. */
  readonly of: (value: Value | undefined) => readonly Value[];
  readonly buffers: readonly KeptTensor[];
  /** The nodes that compute from constants alone. */
  readonly fixed: ReadonlySet<Node>;
  /** Whether a normalization's scale and shift only fill their places, and what scales stands behind it. */
  readonly isPlain: (norm: Node) => boolean;
}

/** A place where a constant is used, behind operators that only shape it. */
interface Use {
  readonly node: Node;
  readonly index: number;
}

const SHAPING = new Set(
  ['Cast', 'Concat', 'Expand', 'Flatten', 'Gather', 'Identity', 'Pad', 'Reshape', 'Slice', 'Split', 'Squeeze'].concat([
    'Tile',
    'Transpose',
    'Unsqueeze',
  ]),
);

/** Inputs that say how to compute. */
const ARGUMENTS: Readonly<Record<string, readonly number[]>> = {
  And: [0, 1],
  Clip: [1, 2],
  CumSum: [1],
  Dropout: [1, 2],
  Equal: [0, 1],
  Greater: [0, 1],
  GreaterOrEqual: [0, 1],
  Less: [0, 1],
  LessOrEqual: [0, 1],
  Mod: [1],
  OneHot: [0, 1, 2],
  Pad: [1, 2, 3],
  Range: [0, 1, 2],
  Resize: [1, 2, 3],
  TopK: [1],
  Upsample: [1],
  Where: [0],
};

/** Inputs that hold parameters, whatever the numbers in them are. */
const WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Einsum: [0, 1],
  Gemm: [1, 2],
  MatMul: [1],
  PRelu: [1],
};

/** Operators that prepare pixels, one by one or by moving them. */
const PREPARING = new Set(
  ['Add', 'Cast', 'Clip', 'Concat', 'Div', 'Gather', 'Identity', 'Mul', 'Pad', 'Resize', 'Slice', 'Split'].concat([
    'Sub',
    'Transpose',
    'Unsqueeze',
    'Squeeze',
  ]),
);

/**
 * Tells parameters from what is not learned among the constants of floating point that `nodes`, between `inputs` and the result, read:
 * by the operators that use them, by their names and by their numbers. docs/policies.md has the rules in words.
 */
export function findParameters(nodes: readonly Node[], inputs: Graph['inputs']): Parameters {
  return new ParameterSearch(nodes, inputs).found();
}

class ParameterSearch {
  private readonly fixed: Set<Node>;
  private readonly consumers: Map<Value, Node[]>;
  private readonly pixels: Set<Value>;
  private readonly constants: Value[];
  private readonly uses = new Map<Value, readonly Use[]>();
  private readonly learned = new Set<Value>();
  /** Whether the weights stand in Constant nodes, so that other parameters may, too. */
  private readonly isInline: boolean;

  constructor(nodes: readonly Node[], inputs: Graph['inputs']) {
    this.fixed = constantNodes(nodes);
    this.consumers = consumersOf(nodes);
    this.pixels = preparedPixels(nodes, inputs, this.fixed);
    const read = new Set(nodes.flatMap((node) => node.inputs));
    this.constants = [...read].filter((value): value is Value => value?.constant?.dtype === 'float32');
    for (const value of this.constants) this.uses.set(value, this.usesOf(value));
    this.isInline = this.constants.some(
      (value) =>
        value.isInline &&
        value.shape?.length !== 0 &&
        this.usedAs(value, WEIGHTS) &&
        elementCount(value.constant?.dims ?? []) > 1,
    );
  }

  found(): Parameters {
    const buffers: KeptTensor[] = [];
    const candidates: Value[] = [];
    for (const value of this.constants) {
      const reason = this.reasonToKeep(value);
      if (reason === undefined) candidates.push(value);
      else if (sizeOf(value) > 1) buffers.push({ value, reason });
    }
    const turning = this.rotations(candidates);
    for (const value of candidates) {
      if (turning.has(value)) buffers.push({ value, reason: 'a table of sines and cosines' });
      else this.learned.add(value);
    }
    const of = new Map<Value, readonly Value[]>();
    const rootsOf = (value: Value | undefined): readonly Value[] => {
      if (!value) return [];
      if (value.constant) return this.learned.has(value) ? [value] : [];
      const { producer } = value;
      if (!producer || !this.fixed.has(producer)) return [];
      let roots = of.get(value);
      if (!roots) {
        const all = new Set(producer.inputs.flatMap((input) => rootsOf(input)));
        roots = [...all].sort((a, b) => sizeOf(b) - sizeOf(a));
        of.set(value, roots);
      }
      return roots;
    };
    return { of: rootsOf, buffers, fixed: this.fixed, isPlain: (norm) => this.isPlain(norm) };
  }

  /** Where a value is used, behind operators that only shape it. */
  private usesOf(value: Value): Use[] {
    return (this.consumers.get(value) ?? []).flatMap((node) =>
      node.inputs.flatMap((input, index): Use[] => {
        if (input !== value) return [];
        const isShaped = this.fixed.has(node) && SHAPING.has(node.op) && index === 0;
        const isJoined = this.fixed.has(node) && node.op === 'Concat';
        return isShaped || isJoined
          ? node.outputs.flatMap((output) => (output ? this.usesOf(output) : []))
          : [{ node, index }];
      }),
    );
  }

  private usedAs(value: Value, places: Readonly<Record<string, readonly number[]>>): boolean {
    return (this.uses.get(value) ?? []).some(({ node, index }) => isPlace(places, node, index));
  }

  /** Says why a constant is no parameter; undefined where it is one. */
  private reasonToKeep(value: Value): string | undefined {
    if (value.isPart) return 'the file has it once for each image of its fixed batch';
    const reasons = (this.uses.get(value) ?? []).map((use) => this.reasonOf(value, use));
    return reasons.includes(undefined) ? undefined : (reasons[0] ?? 'nothing reads it');
  }

  private reasonOf(value: Value, { node, index }: Use): string | undefined {
    if (isPlace(ARGUMENTS, node, index)) return 'an argument of an operator';
    if (node.domain === '' && node.op === 'BatchNormalization' && index > 2) return 'running statistics';
    const isScale = isNormalization(node) && (index === 1 || index === 2);
    if (isScale) return this.isPlain(node) ? 'the ones and zeros of a normalization without parameters' : undefined;
    if (isPlace(WEIGHTS, node, index) || (operatorOf(node)?.vectors ?? []).includes(index))
      return node.op === 'Conv' && index === 1 && isFilter(node, value) ? 'a filter that blurs' : undefined;
    if (sizeOf(value) === 1) return this.reasonOfNumber(value);
    // As Swin has it: the coordinates of a table go through layers of their own.
    if (node.op === 'MatMul' && this.fixed.has(node) && !soundsLearned(value.name)) return 'a table of coordinates';
    return this.reasonOfTensor(value, { node, index });
  }

  private reasonOfTensor(value: Value, { node, index }: Use): string | undefined {
    const byNumbers = this.reasonByNumbers(value);
    if (byNumbers !== undefined) return byNumbers;
    if (soundsLearned(value.name)) return undefined;
    // As the new exporter writes Swin's: regions of a map are numbered one by one, and compared.
    if (node.op === 'ScatterND' && this.fixed.has(node) && isUniform(value))
      return 'a mask that is filled part by part';
    if (node.op === 'Sin' || node.op === 'Cos') return 'frequencies of sines and cosines';
    if (PREPARING.has(node.op) && node.inputs.some((input) => input && this.pixels.has(input)))
      return 'the preparation of pixels';
    const statistics = this.statisticsBy(value, { node, index });
    if (statistics !== undefined) return statistics;
    return value.isInline && !this.isInline && isGenerated(value.name) ? 'a constant of the program' : undefined;
  }

  private reasonByNumbers({ name, constant }: Value): string | undefined {
    if (soundsKept(name)) return 'its name says so';
    return constant && readValues(name, floats(constant), constant.dims);
  }

  /** Single numbers are the program's (an epsilon, a half), unless their name says that they are learned. */
  private reasonOfNumber({ name, isInline }: Value): string | undefined {
    return (isInline && !this.isInline) || !soundsLearnedAlone(name) ? 'a number' : undefined;
  }

  /** The mean and the variance of a normalization that was taken apart. */
  private statisticsBy(value: Value, { node, index }: Use): string | undefined {
    const reads = (from: Node, ops: readonly string[]) =>
      (this.consumers.get(from.output()) ?? []).some(({ op }) => ops.includes(op));
    const isPositive = value.constant && floats(value.constant).every((x) => x >= 0);
    const other = node.inputs[1 - index];
    const isSmallNumber = other?.constant && sizeOf(other) === 1;
    const isVariance =
      node.op === 'Sqrt' || (node.op === 'Add' && isSmallNumber && reads(node, ['Sqrt', 'Pow', 'Reciprocal']));
    if (isVariance && isPositive) return 'the variance of a normalization';
    if (node.op === 'Sub' && index === 1 && isVector(value)) return 'the mean of a normalization';
    if (node.op === 'Div' && index === 1 && isVector(value) && isPositive) return 'the deviation of a normalization';
    const isSubtracted = (this.consumers.get(node.output()) ?? []).some(
      ({ op, inputs }) => op === 'Sub' && inputs[1] === node.output(),
    );
    return node.op === 'Mul' && this.fixed.has(node) && isSubtracted ? 'the mean of a normalization' : undefined;
  }

  /** Pairs of tables that are multiplied, of sines and of cosines. */
  private rotations(candidates: readonly Value[]): Set<Value> {
    const factors = candidates.filter(
      (value) => sizeOf(value) > 1 && this.usedAs(value, { Mul: [0, 1], RotaryEmbedding: [1, 2] }),
    );
    const found = new Set<Value>();
    for (const [at, a] of factors.entries())
      for (const b of factors.slice(at + 1))
        if (a.constant && b.constant && areSinesAndCosines(floats(a.constant), floats(b.constant))) found.add(a).add(b);
    return found;
  }

  /** Whether a normalization's ones and zeros stand for none: no name says otherwise, and a scale follows, or a Constant node holds them. */
  private isPlain(norm: Node): boolean {
    const [scale, shift] = [norm.inputs[1], norm.inputs[2]];
    const isFilled = (value: Value | undefined, number: number) =>
      !value || (isUniform(value) && value.constant?.data[0] === number && !soundsLearned(value.name));
    if (!scale || !isFilled(scale, 1) || !isFilled(shift, 0)) return false;
    return (scale.isInline && !this.isInline && isGenerated(scale.name)) || this.isScaled(norm.output());
  }

  /** Whether a value alone is multiplied by a vector of constants next, behind operators that shape it. */
  private isScaled(value: Value): boolean {
    const [reader, ...others] = this.consumers.get(value) ?? [];
    if (!reader || others.length > 0) return false;
    if (['Reshape', 'Transpose'].includes(reader.op)) return this.isScaled(reader.output());
    return reader.op === 'Mul' && reader.inputs.some((input) => input && isVector(input) && sizeOf(input) > 1);
  }
}

const isPlace = (places: Readonly<Record<string, readonly number[]>>, { op, domain }: Node, index: number) =>
  domain === '' && (places[op] ?? []).includes(index);

const isNormalization = ({ op, domain }: Node) => domain === '' && op.endsWith('Normalization');

/** Whether a convolution blurs each channel by itself, with the same kernel. */
function isFilter(node: Node, { name, constant }: Value): boolean {
  if (!constant || node.int('group', 1) === 1 || /weight$/i.test(name)) return false;
  return isBlur(floats(constant), constant.dims[0] ?? 1);
}

/** The number of elements of a constant. */
export const sizeOf = ({ constant }: Value) => elementCount(constant?.dims ?? []);

/** Whether a value stretches along one axis at most. */
export function isVector({ shape }: Value): boolean {
  return (
    shape !== undefined && shape.filter((dim) => dim !== 1).length <= 1 && shape.every((dim) => typeof dim === 'number')
  );
}

/** The images, and what is made of them before the first layer, while it keeps their form. */
function preparedPixels(nodes: readonly Node[], inputs: readonly Value[], fixed: ReadonlySet<Node>): Set<Value> {
  const pixels = new Set(inputs);
  for (const node of nodes) {
    if (fixed.has(node) || node.domain !== '' || !PREPARING.has(node.op)) continue;
    const data = node.inputs.filter(
      (input) => input && !input.constant && !(input.producer && fixed.has(input.producer)),
    );
    if (!data.every((input) => input && pixels.has(input))) continue;
    for (const output of node.outputs) if (output?.shape?.length === 4) pixels.add(output);
  }
  return pixels;
}
