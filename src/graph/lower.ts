import { type Tensor, floats, floatTensor } from '../onnx/tensor.js';
import type { Builder } from './builder.js';
import { depthwise, isBlockable } from './blocked.js';
import { convGeometry } from './convGeometry.js';
import { MICROSOFT } from './domains.js';
import { bindShape, consumersOf, describe, float, type Node, sameDim, Value } from './graph.js';
import { convOfRows, pointwiseRows, pooledRows, type Rows } from './rows.js';
import { readSourceNode } from './sourceNode.js';
import { countsImages } from './stacking/imageCount.js';

/** Writes a node in another form than its own; gives what stands for its first output. */
export type Rewrite = (node: Node, at: (value: Value) => Value) => Value;

/**
 * Appends `nodes` to `g`, where `given` says what stands there for some of their inputs (boundary, parameters). On the way
 * BatchNormalization with frozen statistics moves to its convolution's weights, W·γ/σ being small where activations are
 * large, and x·σ(x) becomes one node. `rewrites` take the place of single nodes; maps among `rows` are laid out as such.
 * @returns what stands in `g` for any value of `nodes`.
 */
export function lower(
  g: Builder,
  nodes: readonly Node[],
  given: ReadonlyMap<Value, Value>,
  rewrites: ReadonlyMap<Node, Rewrite> = new Map(),
  rows: Rows = new Set(),
): (value: Value) => Value {
  return lowerNodes(g, nodes, given, rewrites, rows).at;
}

/** Does what {@link lower} does, and also gives what stands for each value, but for those that are a part of another now. */
export function lowerNodes(
  g: Builder,
  nodes: readonly Node[],
  given: ReadonlyMap<Value, Value>,
  rewrites: ReadonlyMap<Node, Rewrite> = new Map(),
  rows: Rows = new Set(),
): { readonly at: (value: Value) => Value; readonly lowered: ReadonlyMap<Value, Value> } {
  const lowered = new Map(given);
  const consumers = consumersOf(nodes);
  const at = (value: Value): Value => {
    const known = lowered.get(value);
    if (known) return known;
    if (!value.constant) throw new Error(`"${value.name}" is neither computed nor given`);
    const constant = g.constant(value.name, value.constant);
    lowered.set(value, constant);
    return constant;
  };
  const onlyReader = (value: Value): Node | undefined => {
    const readers = consumers.get(value);
    return readers?.length === 1 ? readers[0] : undefined;
  };
  const done = new Set<Node>();
  for (const node of nodes) {
    if (done.has(node)) continue;
    if (countsImages(node)) {
      lowered.set(node.output(), countOf(g, node, given, at));
      continue;
    }
    const rewrite = rewrites.get(node);
    if (rewrite) {
      lowered.set(node.output(), rewrite(node, at));
      continue;
    }
    const reader = node.outputs.length === 1 ? onlyReader(node.output()) : undefined;
    const together = reader && lowerWithReader(g, node, reader, { at, given, rows });
    if (together) {
      lowered.set(reader.output(), together);
      done.add(reader);
      continue;
    }
    const outputs = readSourceNode(node, () => lowerAlone(g, node, at, rows));
    node.outputs.forEach((output, index) => {
      const result = outputs[index];
      if (output && result) lowered.set(output, result);
    });
  }
  return { at, lowered };
}

/** Counts the images by anything that is given for each of them, where what the source counts them by is not there. */
function countOf(g: Builder, node: Node, given: ReadonlyMap<Value, Value>, at: (value: Value) => Value): Value {
  const [source] = [...given].find(([value]) => sameDim(value.shape?.[0] ?? 1, { batch: 1 })) ?? [node.input(0)];
  return g.op('Shape', [at(source)], Object.fromEntries(node.attributes));
}

/** The state of {@link lowerNodes} that a node's form depends on. */
interface Lowering {
  readonly at: (value: Value) => Value;
  readonly given: ReadonlyMap<Value, Value>;
  readonly rows: Rows;
}

/** Writes `node` and `reader`, which alone reads it, as one; gives what stands for the reader's output, or undefined where they stay two. */
function lowerWithReader(g: Builder, node: Node, reader: Node, { at, given, rows }: Lowering): Value | undefined {
  const isNormalized = reader.op === 'BatchNormalization' && reader.inputs[0] === node.output();
  if (node.op === 'Conv' && isNormalized && isFrozen(reader, given))
    return readSourceNode(node, () => convWithNorm(g, node, reader, at, rows));
  const isGated = reader.inputs.includes(node.inputs[0]) && reader.inputs.includes(node.output());
  if (node.op === 'Sigmoid' && reader.op === 'Mul' && isGated)
    return g.op('QuickGelu', [at(node.input(0))], { alpha: float(1) }, { domain: MICROSOFT });
  return undefined;
}

/** Writes a node by itself, in a faster form where it has one; gives what stands for its outputs. */
function lowerAlone(g: Builder, node: Node, at: (value: Value) => Value, rows: Rows): Value[] {
  const [map] = node.inputs;
  if (node.op === 'Conv' && node.domain === '' && !rows.has(node.output())) {
    const [x, weight, bias] = node.inputs.map((input) => input && at(input));
    if (!x || !weight) throw new Error(`${describe(node)} lacks an input`);
    return [convOf(g, node, [x, weight, bias])];
  }
  // ReduceMean gives the same four times as fast on ONNX Runtime's CPU provider.
  if (node.op === 'GlobalAveragePool' && node.input(0).shape?.length === 4 && !rows.has(node.input(0)))
    return [g.reduceMean(at(node.input(0)), [2, 3])];
  if (rows.has(node.output())) return [pointwiseRows(g, node, rows, at)];
  if (map && rows.has(map)) return [pooledRows(g, node, at(map))];
  return g.ops(
    node.op,
    node.inputs.map((input) => input && at(input)),
    node.outputs.length,
    Object.fromEntries(node.attributes),
    { domain: node.domain, name: g.uniqueName(node.name) },
  );
}

/** The convolution `conv` of other values: one channel at a time, in the blocked layout where `g` has one. */
function convOf(g: Builder, conv: Node, inputs: readonly [Value, Value, Value | undefined]): Value {
  const channels = bindShape(inputs[0].shape ?? [], 1)[1] ?? 0;
  const kernels = bindShape(inputs[1].shape ?? [], 1)[0] ?? 0;
  // `auto_pad` goes by the size of the source's input, which is this one's too.
  const geometry = conv.input(0).shape && convGeometry(conv);
  if (geometry && isBlockable(g, geometry, channels, kernels)) return depthwise(g, conv, geometry, inputs);
  return g.op('Conv', inputs, Object.fromEntries(conv.attributes), { name: g.uniqueName(conv.name) });
}

/** Whether a BatchNormalization's mean and variance are constants. */
function isFrozen(norm: Node, given: ReadonlyMap<Value, Value>): boolean {
  return [3, 4].every((index) => norm.inputs[index]?.constant && !given.has(norm.input(index)));
}

/** y = conv(x, W)·s + (β − μ·s) with s = γ/√(variance + ε), computed as conv(x, W·s) + (β + (b − μ)·s). */
function convWithNorm(g: Builder, conv: Node, norm: Node, at: (value: Value) => Value, rows: Rows): Value {
  const constantOf = (index: number): Tensor => {
    const { constant } = norm.input(index);
    if (!constant) throw new Error('unreachable');
    return constant;
  };
  const mean = constantOf(3);
  const variance = floats(constantOf(4));
  const epsilon = norm.float('epsilon', 1e-5);
  const inverseDeviation = floatTensor(
    mean.dims,
    variance.map((v) => 1 / Math.sqrt(v + epsilon)),
  );
  const isRows = rows.has(conv.output());
  const [kernels, channels] = bindShape(conv.input(1).shape ?? [], 1);
  const [gamma, beta] = [at(norm.input(1)), at(norm.input(2))];
  const weight = isRows ? reshaped(g, at(conv.input(1)), [kernels ?? 0, channels ?? 0]) : at(conv.input(1));
  const bias = conv.inputs[2] && at(conv.inputs[2]);
  const perChannel = [mean.dims[0] ?? 0, ...(weight.shape?.slice(1).map(() => 1) ?? [])];

  const scale = product(g, gamma, g.constant(`${norm.name}/inverse_deviation`, inverseDeviation));
  const scaledWeight = product(g, weight, reshaped(g, scale, perChannel));
  const negativeMean = g.constant(
    `${norm.name}/negative_mean`,
    floatTensor(
      mean.dims,
      floats(mean).map((m) => -m),
    ),
  );
  const shift = sum(g, beta, product(g, bias ? sum(g, bias, negativeMean) : negativeMean, scale));
  if (isRows) return convOfRows(g, conv, at(conv.input(0)), scaledWeight, shift);
  return convOf(g, conv, [at(conv.input(0)), scaledWeight, shift]);
}

const product = (g: Builder, a: Value, b: Value) => folded(g, a, b, (x, y) => x * y) ?? g.mul(a, b);
const sum = (g: Builder, a: Value, b: Value) => folded(g, a, b, (x, y) => x + y) ?? g.add(a, b);

function reshaped(g: Builder, value: Value, dims: readonly number[]): Value {
  return value.constant ? g.constant(value.name, { ...value.constant, dims }) : g.reshape(value, dims);
}

/** `a` and `b` combined at compile time when both are constants; `b` holds one number for each of a's first dimension. */
function folded(g: Builder, a: Value, b: Value, combine: (x: number, y: number) => number): Value | undefined {
  if (!a.constant || !b.constant) return undefined;
  const [x, y] = [floats(a.constant), floats(b.constant)];
  const each = x.length / y.length;
  return g.constant(
    a.name,
    floatTensor(
      a.constant.dims,
      x.map((value, index) => combine(value, y[Math.floor(index / each)] ?? 0)),
    ),
  );
}
