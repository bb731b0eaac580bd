import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import type { Graph, Value } from '../../src/graph/graph.js';
import { int } from '../../src/graph/graph.js';
import { inferGraph } from '../../src/graph/infer.js';
import { graphOfModel, modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel, readModel } from '../../src/onnx/model.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { Calibration } from '../../src/quantize/calibration.js';
import { foldNorms } from '../../src/quantize/foldNorms.js';
import { quantize } from '../../src/quantize/quantize.js';
import { selectNodes, type SelectionOptions } from '../../src/quantize/selection.js';
import { Random } from '../../src/random.js';
import { productsSaturate } from '../../src/runtime/saturation.js';
import { TINY_MBCONV, TINY_RESNET } from '../models.js';

/** Weights of 8 bits are wrong on such a machine, and not for what is tested here. */
const saturates = await productsSaturate();
const random = new Random(3);
const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal());

/** x → Conv → Relu → depthwise Conv → x·σ(x) → + → pooling → Gemm → y. */
function convNet(): Graph {
  const g = new Builder(18);
  const weight = (name: string, dims: number[]) => {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return g.constant(
      name,
      floatTensor(
        dims,
        numbers(count).map((each) => each / Math.sqrt(count / (dims[0] ?? 1))),
      ),
    );
  };
  const x = g.input('x', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const first = g.relu(g.conv(x, weight('w1', [8, 3, 3, 3]), { pads: [1, 1, 1, 1] }, weight('b1', [8])));
  const second = g.conv(first, weight('w2', [8, 1, 3, 3]), { pads: [1, 1, 1, 1], group: 8 });
  const gated = g.mul(second, g.sigmoid(second));
  const pooled = g.op('GlobalAveragePool', [g.add(first, gated)]);
  const flat = g.op('Flatten', [pooled], { axis: int(1) });
  g.output('y', g.gemm(flat, weight('w3', [5, 8]), { transB: true, c: weight('b3', [5]) }));
  return g.graph;
}

async function outputsOf(graph: Graph, outputs: readonly Value[], x: Float32Array, dims: readonly number[]) {
  const model = modelOfGraph({ ...graph, outputs: [...outputs] }, 'test');
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const [input] = session.inputNames;
  const results = await session.run({ [input ?? '']: new ort.Tensor('float32', x, dims) });
  await session.release();
  return new Map(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}

/** The same input through `graph` in float and quantized: the error against the spread of the results. */
async function relativeError(
  graph: Graph,
  dims: readonly number[],
  { reducesRange = saturates, ...options }: SelectionOptions & { reducesRange?: boolean } = {},
) {
  const { nodes, values } = selectNodes(graph, options);
  const observed = [...graph.inputs, ...graph.nodes.map((node) => node.output())].filter(({ name }) =>
    values.includes(name),
  );
  const x = numbers(dims.reduce((product, dim) => product * dim, 1));
  const calibration = new Calibration('min-max');
  for (const [name, data] of await outputsOf(graph, observed, x, dims)) calibration.observe(name, data);
  const quantized = quantize(graph, { nodes, ranges: calibration.ranges(), reducesRange });
  const [exact = new Float32Array()] = (await outputsOf(graph, graph.outputs, x, dims)).values();
  const [rounded] = (await outputsOf(quantized, quantized.outputs, x, dims)).values();
  const spread = Math.sqrt(exact.reduce((sum, each) => sum + each * each, 0));
  const error = Math.sqrt(exact.reduce((sum, each, index) => sum + (each - (rounded?.[index] ?? NaN)) ** 2, 0));
  return { error: error / spread, quantized };
}

const dtypesOf = (graph: Graph, op: string) =>
  graph.nodes.filter((node) => node.op === op).map((node) => node.input(0).dtype);

describe('a quantized graph', () => {
  it('gives nearly what the graph in float gives', async () => {
    const { error, quantized } = await relativeError(convNet(), [2, 3, 8, 8]);
    expect(error).toBeLessThan(0.03);
    expect(error).toBeGreaterThan(0);
    expect(quantized.inputs[0]?.dtype).toBe('float32');
    expect(quantized.outputs[0]).toMatchObject({ name: 'y', dtype: 'float32' });
  });

  it('holds weights as signed bytes, activations as unsigned ones and biases in float', async () => {
    const { quantized } = await relativeError(convNet(), [1, 3, 8, 8]);
    const dtypes = dtypesOf(quantized, 'DequantizeLinear');
    expect(dtypes.filter((dtype) => dtype === 'int8')).toHaveLength(3);
    expect(dtypes.filter((dtype) => dtype !== 'int8')).toEqual(
      dtypesOf(quantized, 'QuantizeLinear').map(() => 'uint8'),
    );
    const biases = quantized.nodes.flatMap(({ op, inputs }) =>
      op === 'Conv' || op === 'Gemm' ? (inputs[2] ?? []) : [],
    );
    expect(biases.map(({ constant }) => constant?.dtype)).toEqual(['float32', 'float32']);
  });

  it('has nothing between a convolution and the activation that cuts off what its range does not have', async () => {
    const { quantized } = await relativeError(convNet(), [1, 3, 8, 8]);
    expect(quantized.nodes.find(({ op }) => op === 'Relu')?.input(0).producer?.op).toBe('Conv');
  });

  it('leaves the first and the last layer in float, and chosen operators alone, where it is told so', async () => {
    const kept = await relativeError(convNet(), [1, 3, 8, 8], { keepsFirst: true, keepsLast: true });
    expect(dtypesOf(kept.quantized, 'DequantizeLinear').filter((dtype) => dtype === 'int8')).toHaveLength(1);
    const layers = await relativeError(convNet(), [1, 3, 8, 8], { operators: new Set(['Gemm']), reducesRange: true });
    expect(dtypesOf(layers.quantized, 'QuantizeLinear')).toHaveLength(2);
    expect(layers.error).toBeLessThan(0.03);
  });

  it.each([
    ['a matrix', [3, 2]],
    ['matrices', [2, 3, 2]],
  ])('holds %s that a MatMul multiplies by as signed bytes, a scale for each column', (_, dims) => {
    const g = new Builder(18);
    // Columns of 1 to 3 and of -100 to -300.
    const columns = Array.from({ length: dims.reduce((a, b) => a * b) }, (__, at) => [1, -100][at % 2] ?? 0);
    const data = columns.map((each, at) => each * (1 + (Math.floor(at / 2) % 3)));
    g.output('y', g.matmul(g.input('x', 'float32', [{ batch: 1 }, 3]), g.constant('w', floatTensor(dims, data))));
    const { nodes } = quantize(g.graph, { nodes: [], ranges: new Map(), storesAllWeights: true });
    expect(nodes.map(({ op }) => op)).toEqual(['DequantizeLinear', 'MatMul']);
    const [whole, scales] = nodes[0]?.inputs ?? [];
    expect(nodes[0]?.int('axis', -1)).toBe(dims.length - 1);
    expect([...(scales?.constant?.data ?? [])]).toEqual([3 / 127, 300 / 127].map(Math.fround));
    // A third, two thirds and all of the largest whole number, rounded.
    expect([...(whole?.constant?.data ?? [])].slice(0, 6)).toEqual([42, -42, 85, -85, 127, -127]);
  });

  it('leaves operators on large maps in float', () => {
    expect(selectNodes(convNet(), { largestMap: 7 }).nodes).toEqual(['y']);
  });

  it('has what an operator leaves out no more than the file', () => {
    const g = new Builder(18);
    const x = g.input('x', 'float32', [{ batch: 1 }, 3]);
    const [y = x, , deviation = x] = g.ops('LayerNormalization', [x, g.row('scale', [1, 2, 3])], 3);
    y.producer?.outputs.splice(1, 1, undefined);
    g.output('z', g.mul(y, deviation));
    const folded = foldNorms(g.graph);
    expect(folded.nodes.map(({ op }) => op)).toEqual(['LayerNormalization', 'Mul']);
    expect(folded.outputs[0]).toMatchObject({ name: 'z', shape: [{ batch: 1 }, 3] });
  });

  it.each([
    ['a residual network', TINY_RESNET],
    ['a network of inverted residuals with squeeze and excitation', TINY_MBCONV],
  ])('gives nearly what %s gives, its BatchNormalizations folded', async (_, path) => {
    const source = graphOfModel(readModel(path).proto, [32, 32]);
    inferGraph(source);
    const dims = [2, ...(source.inputs[0]?.shape ?? []).slice(1).map(Number)];
    const graph = foldNorms(source);
    expect(graph.nodes.map(({ op }) => op)).not.toContain('BatchNormalization');
    const { error } = await relativeError(graph, dims);
    expect(error).toBeLessThan(0.1);
  });
});
