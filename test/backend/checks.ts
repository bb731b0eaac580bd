import { create, equals } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { differentiate } from '../../src/autodiff/gradient.js';
import { ruleFor } from '../../src/autodiff/registry.js';
import { UserError } from '../../src/errors.js';
import { Builder } from '../../src/graph/builder.js';
import { canonicalize, refuseFlattenedSoftmax } from '../../src/graph/canonical.js';
import { concreteShape, type Graph, type Value } from '../../src/graph/graph.js';
import { lower } from '../../src/graph/lower.js';
import { descendants } from '../../src/graph/order.js';
import { graphOfModel, modelOfGraph } from '../../src/graph/proto.js';
import { inferGraph } from '../../src/graph/infer.js';
import { infersShapeOf } from '../../src/graph/shapes.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import { type AttributeProto, AttributeProtoSchema, ModelProtoSchema, type NodeProto } from '../../src/onnx/onnx_pb.js';
import {
  bytesOf,
  dtypeOfCode,
  elementCount,
  floatTensor,
  protoOfTensor,
  type Tensor,
  tensorOfProto,
} from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import type { BackendCase } from './backendCases.js';

/** What a check found: it agreed, there was nothing to check for this reason, or it did not agree, in this way. */
export type Verdict = 'ok' | { readonly skipped: string } | { readonly failed: string };

/** Elements of inputs whose derivative was compared, and those left out since the function has a kink there. */
export interface Sampled {
  compared: number;
  kinks: number;
}

/** A case, read: its graph as the file has it, and its tensors. */
export interface ReadCase {
  readonly graph: () => Graph;
  readonly opset: number;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** Reads a case with ort-tl's codec. @throws UserError where ort-tl refuses it. */
export function read({ bytes, name, inputs, outputs }: BackendCase): ReadCase {
  const proto = decodeModel(bytes, name);
  // An empty tensor is no batch of images, and refused; here every dimension is taken as the case has it.
  for (const [index, info] of (proto.graph?.input ?? []).entries()) {
    const shape = info.type?.tensorType?.shape;
    if (shape) shape.dim = shape.dim.map((dim) => ({ ...dim, value: { case: 'dimValue', value: 1n } }));
    if (!inputs[index]) throw new UserError('unsupported-input', `${name} has an input that is no tensor`);
  }
  const { opset } = graphOfModel(proto);
  if (proto.graph?.output.some(({ type }) => !type?.tensorType))
    throw new UserError('unsupported-input', `${name} has an output that is no tensor`);
  const readInputs = inputs.map((input) => tensorOfProto(input));
  return {
    opset,
    inputs: readInputs,
    outputs: outputs.map((output) => tensorOfProto(output)),
    graph: () => {
      const graph = graphOfModel(proto);
      graph.inputs.forEach((input, index) => (input.shape = readInputs[index]?.dims));
      return graph;
    },
  };
}

/** The graph in canonical form, with its shapes; inputs for which `isFixed` holds become constants. */
function canonicalGraph({ graph, opset, inputs }: ReadCase, isFixed: (input: Value) => boolean): Graph {
  const result = graph();
  result.inputs.forEach((input, index) => {
    if (isFixed(input)) input.constant = inputs[index];
  });
  result.inputs = result.inputs.filter((input) => !isFixed(input));
  canonicalize(result);
  inferGraph(result);
  refuseFlattenedSoftmax(result, opset);
  return result;
}

/** Whether ort-tl has shape inference for every node of a case. */
export function isInferred(each: ReadCase): boolean {
  return each.graph().nodes.every(infersShapeOf);
}

/** Whether every node of a case has a gradient rule. */
export function hasRules(each: ReadCase): boolean {
  return each.graph().nodes.every((node) => ruleFor(node));
}

/**
 * Model and tensors are the same after being written and read again, and ONNX Runtime gets the case's outputs from the
 * file as from what ort-tl writes of its graph.
 */
export async function checkCodec(source: BackendCase, each: ReadCase): Promise<Verdict> {
  const proto = decodeModel(source.bytes, source.name);
  if (!equals(ModelProtoSchema, proto, decodeModel(encodeModel(proto), source.name)))
    return { failed: 'the model differs after being written' };
  const written = modelOfGraph(each.graph(), 'case');
  const nodes = (proto.graph?.node ?? []).filter((node) => node.opType !== 'Constant' || !holdsTensor(node));
  if (nodes.length !== written.graph?.node.length) return { failed: 'nodes were lost' };
  for (const [index, node] of nodes.entries()) {
    const other = written.graph.node[index];
    if (other && !sameNode(node, other)) return { failed: `node ${index} differs after being written` };
  }
  for (const stored of [...each.inputs, ...each.outputs]) {
    const again = tensorOfProto(protoOfTensor('again', stored));
    if (again.dtype !== stored.dtype || again.dims.join() !== stored.dims.join())
      return { failed: 'a tensor has another type or shape after being written' };
    if (!Buffer.from(bytesOf(again)).equals(Buffer.from(bytesOf(stored))))
      return { failed: 'a tensor differs after being written' };
  }

  const feeds = Object.fromEntries(
    each.graph().inputs.map(({ name }, index) => [name, ortTensor(tensorAt(each.inputs, index))]),
  );
  const names = each.graph().outputs.map(({ name }) => name);
  const original = await outputsOf(source.bytes, feeds, names);
  if (typeof original === 'string') return { skipped: NOT_RUN };
  if (disagreement(original, each.outputs)) return { skipped: 'ONNX Runtime gives other outputs itself' };
  const graph = canonicalGraph(each, () => false);
  if (losesOutputs(graph)) return { skipped: LOST };
  const ours = await outputsOf(encodeModel(modelOfGraph(graph, 'case')), feeds, names);
  if (typeof ours === 'string') return { failed: `what ort-tl writes does not run: ${ours}` };
  const difference = disagreement(ours, each.outputs);
  return difference ? { failed: `what ort-tl writes gives other outputs: ${difference}` } : 'ok';
}

/** The case's own file does not run, so that there is nothing to differentiate either. */
export const NOT_RUN = 'ONNX Runtime does not run the case';
const LOST = 'an output that only training writes, which ort-tl drops';
const losesOutputs = ({ nodes, outputs }: Graph) =>
  outputs.some((output) => output.producer && !nodes.some((node) => node.outputs.includes(output)));

const holdsTensor = (node: NodeProto) => node.attribute.some(({ name }) => /^value(_(int|float)s?)?$/.test(name));

function sameNode(a: NodeProto, b: NodeProto): boolean {
  const attributes = new Map(b.attribute.map((attribute) => [attribute.name, attribute]));
  return (
    a.opType === b.opType &&
    a.domain.replace('ai.onnx', '') === b.domain &&
    a.input.join() === b.input.join() &&
    a.output.join() === b.output.join() &&
    a.attribute.length === b.attribute.length &&
    a.attribute.every((attribute) => {
      const other = attributes.get(attribute.name);
      return other !== undefined && equals(AttributeProtoSchema, plain(attribute), plain(other));
    })
  );
}

/** An attribute, its tensor in the one form that ort-tl writes. */
function plain(attribute: AttributeProto): AttributeProto {
  const { t } = attribute;
  return create(AttributeProtoSchema, {
    ...attribute,
    ...(t ? { t: protoOfTensor('', tensorOfProto(t)) } : {}),
  });
}

/** The inferred types and shapes are those of the case's outputs. */
export function checkShapes(each: ReadCase): Verdict {
  // Axes, pads and target shapes are inputs of a case, where a model has constants.
  const graph = canonicalGraph(
    each,
    (input) => input.dtype === 'int64' || input.dtype === 'int32' || isSetting(each, input),
  );
  if (losesOutputs(graph)) return { skipped: LOST };
  for (const [index, output] of graph.outputs.entries()) {
    const { dtype, dims } = tensorAt(each.outputs, index);
    const { producer } = output;
    if (producer?.op === 'Cast' && dtypeOfCode(producer.int('to', 0)) === undefined)
      return { skipped: 'a cast to an element type that ort-tl does not have' };
    if (!output.shape && graph.nodes.length > 1)
      return { skipped: 'a shape computed in a way that ort-tl leaves to ONNX Runtime' };
    if (output.dtype !== dtype) return { failed: `output ${index} is ${dtype}, inferred ${output.dtype ?? 'nothing'}` };
    const inferred = output.shape && concreteShape(output).join();
    if (inferred !== dims.join())
      return {
        failed: `output ${index} is [${dims.join()}], inferred ${inferred === undefined ? 'nothing' : `[${inferred}]`}`,
      };
  }
  return 'ok';
}

/** Inputs that are no data though they may be floating point: a depth, a region, scales. */
const settings: Record<string, readonly number[]> = { OneHot: [1], Resize: [1, 2] };

function isSetting(each: ReadCase, { name }: Value): boolean {
  return each.graph().nodes.some(({ op, inputs }) => settings[op]?.some((index) => inputs[index]?.name === name));
}

/** Elements of each input that are moved. */
const ELEMENTS = 12;
const TOLERANCE = 2e-2;
const FLOAT32_EPSILON = 2 ** -23;

/** The gradient with respect to each float32 input that a rule has one for is that of finite differences. */
export async function checkGradient(each: ReadCase, sampled: Sampled): Promise<Verdict> {
  const reasons: string[] = [];
  let checked = 0;
  for (const [index, input] of each.inputs.entries()) {
    const value = each.graph().inputs[index];
    if (input.dtype !== 'float32' || input.data.length === 0 || (value && isSetting(each, value))) continue;
    const verdict = await checkInput(each, index, sampled);
    if (verdict === 'ok') checked++;
    else if ('failed' in verdict) return verdict;
    else reasons.push(verdict.skipped);
  }
  return checked > 0 ? 'ok' : { skipped: reasons[0] ?? 'no float32 input' };
}

async function checkInput(each: ReadCase, index: number, sampled: Sampled): Promise<Verdict> {
  const name = each.graph().inputs[index]?.name;
  const graph = canonicalGraph(each, (input) => input.name !== name);
  const [variable] = graph.inputs;
  if (!variable) throw new Error('unreachable');
  const depending = descendants(graph.nodes, [variable]).values;
  // Further outputs are statistics and masks, which no loss reads; those of Split are equals.
  const isResult = (output: Value) => output.producer?.op === 'Split' || output.producer?.outputs[0] === output;
  const results = graph.outputs.filter(
    (output) => output.dtype === 'float32' && depending.has(output) && isResult(output),
  );
  if (results.length === 0) return { skipped: 'no float32 output' };
  if (results.some((output) => elementCount(concreteShape(output)) === 0)) return { skipped: 'an empty output' };

  // loss = Σ y · r for random r, so that every element of y counts for itself.
  const g = new Builder(graph.opset);
  const random = new Random(7);
  const x = g.input('x', 'float32', concreteShape(variable));
  const at = lower(g, graph.nodes, new Map([[variable, x]]));
  const ys = results.map(at);
  const weights = ys.map((y) =>
    Float32Array.from({ length: elementCount(concreteShape(y)) }, () => 2 * random.next() - 1),
  );
  const loss = ys
    .map((y, place) =>
      g.reduceSum(g.mul(y, g.constant('r', floatTensor(concreteShape(y), weights[place] ?? []))), undefined, false),
    )
    .reduce((sum, term) => g.add(sum, term));
  try {
    const gradient = differentiate(g, [...g.graph.nodes], loss, [x]).get(x);
    if (gradient) g.output('dx', gradient);
  } catch (thrown) {
    if (thrown instanceof UserError) return { skipped: `no gradient for input ${index}, as designed` };
    throw thrown;
  }
  ys.forEach((y, place) => g.output(`y${place}`, y));

  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'case')), silent);
  try {
    const values = tensorAt(each.inputs, index).data as Float32Array;
    const run = async (moved: Float32Array) => {
      const outputs = await session.run({ x: new ort.Tensor('float32', moved, concreteShape(x)) });
      return {
        y: ys.map((_, place) => outputs[`y${place}`]?.data as Float32Array),
        dx: outputs['dx']?.data as Float32Array,
      };
    };
    const here = await run(values);
    const scale = here.dx.reduce(
      (most, slope) => (Number.isFinite(slope) ? Math.max(most, Math.abs(slope)) : most),
      0.1,
    );
    let compared = 0;
    for (let element = 0; element < values.length; element += Math.ceil(values.length / ELEMENTS)) {
      const slope = await slopeAt(values, element, scale, here.y, weights, async (moved) => (await run(moved)).y);
      if (slope === undefined) {
        sampled.kinks++;
        continue;
      }
      const analytic = here.dx[element] ?? NaN;
      if (!(Math.abs(analytic - slope) <= TOLERANCE * scale))
        return { failed: `d input ${index}[${element}] is ${analytic}, by differences ${slope}` };
      compared++;
    }
    sampled.compared += compared;
    return compared > 0 ? 'ok' : { skipped: 'every sampled element lies on a kink' };
  } finally {
    await session.release();
  }
}

/**
 * The slope of Σ y · r along one element by central differences; undefined where the slopes to the left and to the right
 * differ (a kink, a tie, a jump), are not finite, or drown in float32's rounding.
 */
async function slopeAt(
  values: Float32Array,
  element: number,
  scale: number,
  here: readonly Float32Array[],
  weights: readonly Float32Array[],
  run: (moved: Float32Array) => Promise<Float32Array[]>,
): Promise<number | undefined> {
  const x = values[element] ?? 0;
  for (const step of [2e-3, 2e-4]) {
    const aside = async (shift: number) => {
      const moved = values.slice();
      moved[element] = x + shift * Math.max(1, Math.abs(x));
      const y = await run(moved);
      let [rise, noise] = [0, 0];
      // In double precision, and only over what moved, so that the rounding of large sums does not matter.
      for (const [place, weight] of weights.entries()) {
        weight.forEach((r, index) => {
          const [after, before] = [y[place]?.[index] ?? NaN, here[place]?.[index] ?? NaN];
          if (after === before) return;
          rise += r * (after - before);
          noise += (Math.abs(r) * Math.abs(before) + Math.abs(r * after)) * FLOAT32_EPSILON;
        });
      }
      return { rise, noise, run: (moved[element] ?? 0) - x };
    };
    const [left, right] = [await aside(-step), await aside(step)];
    const [nearLeft, nearRight] = [await aside(-step / 2), await aside(step / 2)];
    const slope = (right.rise - left.rise) / (right.run - left.run);
    const nearSlope = (nearRight.rise - nearLeft.rise) / (nearRight.run - nearLeft.run);
    const noise = (nearLeft.noise + nearRight.noise) / (nearRight.run - nearLeft.run);
    const bend = Math.abs(left.rise / left.run - right.rise / right.run);
    // A jump has equal slopes to both sides, but they grow as the step shrinks.
    const growth = Math.abs(nearSlope - slope);
    if (Math.max(noise, bend, growth) < TOLERANCE * scale) return slope;
  }
  return undefined;
}

const silent = { logSeverityLevel: 4 } as const;

function tensorAt(tensors: readonly Tensor[], index: number): Tensor {
  const found = tensors[index];
  if (!found) throw new Error(`the case has no tensor ${index}`);
  return found;
}

function ortTensor({ dtype, dims, data }: Tensor): ort.Tensor {
  // A case's tensors may lie at any place in their file.
  return new ort.Tensor(dtype, data.slice() as Float32Array, dims);
}

/** The outputs of a model, or why it does not run. */
async function outputsOf(
  model: Uint8Array,
  feeds: Record<string, ort.Tensor>,
  names: readonly string[],
): Promise<ort.Tensor[] | string> {
  try {
    const session = await ort.InferenceSession.create(model, silent);
    try {
      const outputs = await session.run(feeds);
      return names.flatMap((name) => outputs[name] ?? []);
    } finally {
      await session.release();
    }
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/** How outputs differ from a case's, by more than its tolerance (onnx/backend/test/case/node: rtol 1e-3); or undefined. */
function disagreement(outputs: readonly ort.Tensor[], expected: readonly Tensor[]): string | undefined {
  for (const [index, { dtype, dims, data }] of expected.entries()) {
    const output = outputs[index];
    if (!output) return `output ${index} is missing`;
    if (output.type !== dtype || output.dims.join() !== dims.join())
      return `output ${index} is ${output.type} [${output.dims.join()}]`;
    for (const [place, value] of data.entries()) {
      const got = Number((output.data as Float32Array)[place]);
      const wanted = Number(value);
      // The bits of a float16 count its steps.
      const near = dtype === 'float16' ? 4 : dtype.startsWith('float') ? 1e-3 * Math.abs(wanted) + 1e-5 : 0;
      if (!Object.is(got, wanted) && got !== wanted && !(Math.abs(got - wanted) <= near))
        return `output ${index}[${place}] is ${got}, not ${wanted}`;
    }
  }
  return undefined;
}
