import { clone, create } from '@bufbuild/protobuf';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { compile } from '../../src/artifacts/compile.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';

export const SIDE = 8;
export const CLASSES = 5;

/** A sound classifier: a convolution with its normalization, another, and an FC layer; weights from `seed`. */
export function soundModel(opset = 17, seed = 1): ModelProto {
  const random = new Random(seed);
  const numbers = (...dims: number[]) =>
    floatTensor(
      dims,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 2 * random.next() - 1),
    );
  const positive = (count: number) =>
    floatTensor(
      [count],
      Float32Array.from({ length: count }, () => 0.5 + random.next()),
    );
  const g = new Builder(opset);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, SIDE, SIDE]);
  const first = g.op(
    'Conv',
    [image, g.constant('conv1.weight', numbers(4, 3, 3, 3)), g.constant('conv1.bias', numbers(4))],
    {},
    { name: 'conv1' },
  );
  const norm = g.op(
    'BatchNormalization',
    [
      first,
      g.constant('bn.scale', positive(4)),
      g.constant('bn.shift', numbers(4)),
      g.constant('bn.mean', numbers(4)),
      g.constant('bn.variance', positive(4)),
    ],
    {},
    { name: 'bn' },
  );
  const second = g.op(
    'Conv',
    [g.op('Relu', [norm]), g.constant('conv2.weight', numbers(6, 4, 3, 3)), g.constant('conv2.bias', numbers(6))],
    {},
    { name: 'conv2' },
  );
  const pooled = g.op('GlobalAveragePool', [g.op('Relu', [second])]);
  g.output(
    'logits',
    g.op(
      'Gemm',
      [
        g.op('Flatten', [pooled]),
        g.constant('fc.weight', numbers(6, CLASSES)),
        g.constant('fc.bias', numbers(CLASSES)),
      ],
      {},
      { name: 'fc' },
    ),
  );
  return modelOfGraph(g.graph, 'net');
}

/** A copy of a model with a change. */
export function changed(model: ModelProto, change: (graph: GraphProto, model: ModelProto) => void): ModelProto {
  const copy = clone(ModelProtoSchema, model);
  if (!copy.graph) throw new Error('no graph');
  change(copy.graph, copy);
  return copy;
}

export const node = (
  opType: string,
  input: string[],
  output: string[],
  attribute: AttributeProto[] = [],
  domain = '',
): NodeProto =>
  create(NodeProtoSchema, { opType, name: `${opType}/${output[0] ?? ''}`, input, output, attribute, domain });

export const int = (name: string, value: number): AttributeProto =>
  create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });
export const ints = (name: string, values: number[]): AttributeProto =>
  create(AttributeProtoSchema, { name, type: 7, ints: values.map(BigInt) });
export const floats = (name: string, values: number[]): AttributeProto =>
  create(AttributeProtoSchema, { name, type: 6, floats: values });

export function named({ node: nodes }: GraphProto, name: string): NodeProto {
  const found = nodes.find((each) => each.name === name);
  if (!found) throw new Error(`no node ${name}`);
  return found;
}

export function initializer(graph: GraphProto, name: string) {
  const found = graph.initializer.find((each) => each.name === name);
  if (!found) throw new Error(`no initializer ${name}`);
  return found;
}

/** A file of test/fixtures/odd. */
export function oddFile(name: string): ModelProto {
  const path = fileURLToPath(new URL(`../fixtures/odd/${name}`, import.meta.url));
  return decodeModel(readFileSync(path), name);
}

/** Numbers from −1 to 1 for images of a shape. */
export function images(dims: number[], seed = 7): ort.Tensor {
  const random = new Random(seed);
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 2 * random.next() - 1);
  return new ort.Tensor('float32', data, dims);
}

/** What ONNX Runtime computes: the numbers of the output `name`, else of the first. */
export async function run(model: ModelProto, feeds: Record<string, ort.Tensor>, name?: string): Promise<number[]> {
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  try {
    const output = name ?? session.outputNames[0] ?? '';
    const results = await session.run(feeds, [output]);
    return Array.from(results[output]?.data as Float32Array, Number);
  } finally {
    await session.release();
  }
}

export function largestDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] ?? NaN))), 0);
}

/** The source model's file. */
export const fileOf = (proto: ModelProto) => ({ path: 'net.onnx', sha256: 'none', proto });

/**
 * How much the frozen part and the trained part together differ from the exported model, on two images of `dims`, [2, …] as the model
 * takes them: all before a step, with the fresh head.
 */
export async function differenceOfParts(
  proto: ModelProto,
  policy: string,
  side: number,
  options: { output?: string; size?: number } = {},
): Promise<number> {
  const compiled = compile(fileOf(proto), {
    policy,
    classes: ['a', 'b', 'c'],
    batch: 2,
    preprocessing: 'mean=0.4,std=0.5',
    ...options,
  });
  const { manifest, frozen, evaluation, state } = compiled;
  const tuned = decodeModel(encodeModel(tunedModel(proto, manifest, state)), 'tuned.onnx');
  const random = new Random(3);
  const pixels = Uint8Array.from({ length: 2 * side * side * 3 }, () => random.integer(256));
  const values = new Map<string, ort.Tensor>([['pixels', new ort.Tensor('uint8', pixels, [2, side, side, 3])]]);
  for (const [name, tensor] of state)
    values.set(name, new ort.Tensor('float32', tensor.data as Float32Array, tensor.dims));
  const runAll = async (model: ModelProto) => {
    const session = await ort.InferenceSession.create(encodeModel(model), {
      logSeverityLevel: 3,
      intraOpNumThreads: 1,
    });
    const feeds = Object.fromEntries(session.inputNames.map((name) => [name, values.get(name) as ort.Tensor]));
    for (const [name, value] of Object.entries(await session.run(feeds))) values.set(name, value);
    await session.release();
  };
  if (frozen) await runAll(frozen);
  await runAll(evaluation);
  const expected = Array.from((values.get('logits') as ort.Tensor).data as Float32Array);
  const session = await ort.InferenceSession.create(encodeModel(tuned), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const [input] = session.inputMetadata;
  if (!input?.isTensor) throw new Error('no image');
  const { mean, std } = manifest.preprocessing;
  const isFirst = input.shape[1] === 3;
  const area = side * side;
  const numbers = Float32Array.from({ length: 2 * 3 * area }, (_, at) => {
    const [image, rest] = [Math.floor(at / (3 * area)), at % (3 * area)];
    const [channel, pixel] = isFirst ? [Math.floor(rest / area), rest % area] : [rest % 3, Math.floor(rest / 3)];
    return ((pixels[(image * area + pixel) * 3 + channel] ?? 0) / 255 - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  });
  const image = new ort.Tensor('float32', numbers, isFirst ? [2, 3, side, side] : [2, side, side, 3]);
  const results = await session.run({ [input.name]: image });
  await session.release();
  const given = Array.from(Object.values(results)[0]?.data as Float32Array);
  const last = tuned.graph?.node.find(({ output: [name] }) => name === session.outputNames[0])?.opType;
  return largestDifference(
    given,
    last === 'Softmax' ? shares(expected, 3) : last === 'LogSoftmax' ? shares(expected, 3).map(Math.log) : expected,
  );
}

/** Softmax of rows of `classes` numbers. */
function shares(logits: readonly number[], classes: number): number[] {
  return logits.map((logit, at) => {
    const row = logits.slice(at - (at % classes), at - (at % classes) + classes);
    return Math.exp(logit) / row.reduce((sum, each) => sum + Math.exp(each), 0);
  });
}
