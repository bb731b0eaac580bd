import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { int, ints, type Value } from '../../src/graph/graph.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { findBlocks } from '../../src/policy/blocks.js';
import { findLayers } from '../../src/policy/layers.js';
import { findMatrices } from '../../src/policy/matrices.js';
import { parsePolicy, showPolicy } from '../../src/policy/policy.js';

const WIDTH = 4;

function constant(g: Builder, name: string, dims: readonly number[]): Value {
  return g.constant(name, floatTensor(dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(1)));
}

function conv(g: Builder, x: Value, name: string, kernel = 1): Value {
  const dims = [WIDTH, Number(x.shape?.[1]), kernel, kernel];
  return g.op(
    'Conv',
    [x, constant(g, name, dims)],
    { pads: ints(Array.from({ length: 4 }, () => (kernel - 1) / 2)) },
    { name },
  );
}

/** Names of the matrices of a network that has `inner` between a stem and a head. */
function matricesOf(inner: (g: Builder, x: Value) => Value): string[] {
  const g = new Builder(18);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const map = inner(g, g.relu(conv(g, image, 'stem', 3)));
  const features = map.shape?.length === 4 ? g.reduceMean(map, [2, 3], false) : g.reduceMean(map, [1], false);
  const logits = g.matmul(features, constant(g, 'head', [WIDTH, 5]));
  g.output('logits', logits);
  const table = findLayers(g.graph, logits);
  return findMatrices(table, findBlocks(g.graph, table)).matrices.map(({ layer, weight, inputs, outputs }) => {
    expect(layer.parameters).toContain(weight);
    return `${weight.name} ${inputs}→${outputs}`;
  });
}

const tokens = (g: Builder, x: Value) => g.transpose(g.op('Reshape', [x, g.vector([0, WIDTH, -1])]), [0, 2, 1]);

describe('the matrices of a network', () => {
  it('are those of products with weights, fused ones too, but the head', () => {
    expect(
      matricesOf((g, x) => {
        const input = tokens(g, x);
        const qkv = g.matmul(input, constant(g, 'qkv', [WIDTH, 3 * WIDTH]));
        const part = (index: number) => g.slice(qkv, [index * WIDTH], [(index + 1) * WIDTH], [2]);
        const weights = g.softmax(g.matmul(part(0), g.transpose(part(1), [0, 2, 1])), -1);
        const attended = g.add(g.matmul(g.matmul(weights, part(2)), constant(g, 'projection', [WIDTH, WIDTH])), input);
        const hidden = g.relu(g.matmul(attended, constant(g, 'fc1', [WIDTH, 2 * WIDTH])));
        return g.add(attended, g.matmul(hidden, constant(g, 'fc2', [2 * WIDTH, WIDTH])));
      }),
    ).toEqual(['qkv 4→12', 'projection 4→4', 'fc1 4→8', 'fc2 8→4']);
  });

  it('are [outputs, inputs] in a Gemm that transposes', () => {
    expect(
      matricesOf((g, x) => {
        const flat = g.op('Reshape', [tokens(g, x), g.vector([-1, WIDTH])]);
        const fc = g.op('Gemm', [flat, constant(g, 'fc', [6, WIDTH])], { transB: int(1) });
        const back = g.op('Gemm', [g.relu(fc), constant(g, 'back', [6, WIDTH])]);
        return g.op('Reshape', [back, g.vector([-1, 64, WIDTH])]);
      }),
    ).toEqual(['fc 4→6', 'back 6→4']);
  });

  it('are 1×1 convolutions where a block has attention', () => {
    expect(
      matricesOf((g, x) => {
        const flat = (value: Value) => g.op('Reshape', [value, g.vector([0, WIDTH, -1])]);
        const [query, key] = [flat(conv(g, x, 'query')), flat(conv(g, x, 'key'))];
        const weights = g.softmax(g.matmul(g.transpose(query, [0, 2, 1]), key), -1);
        const mixed = g.matmul(flat(conv(g, x, 'value')), g.transpose(weights, [0, 2, 1]));
        const map = g.op('Reshape', [mixed, g.vector([0, WIDTH, 8, 8])]);
        return g.add(conv(g, map, 'projection'), x);
      }),
    ).toEqual(['query 4→4', 'key 4→4', 'value 4→4', 'projection 4→4']);
  });

  it('are 1×1 convolutions that follow one another with an activation between, of several nodes too', () => {
    const gelu = (g: Builder, x: Value) =>
      g.mul(g.mul(x, g.add(g.op('Erf', [g.div(x, g.scalar(Math.SQRT2))]), g.scalar(1))), g.scalar(0.5));
    expect(
      matricesOf((g, x) => g.add(x, conv(g, gelu(g, conv(g, conv(g, x, 'depth', 3), 'expand')), 'project'))),
    ).toEqual(['expand 4→4', 'project 4→4']);
  });

  it('are 1×1 convolutions with a normalization of responses between, as in ConvNeXt V2', () => {
    expect(
      matricesOf((g, x) => {
        const hidden = g.relu(conv(g, conv(g, x, 'depth', 3), 'expand'));
        const responses = g.op('ReduceL2', [hidden, g.vector([2, 3])]);
        const scaled = g.mul(hidden, g.div(responses, g.reduceMean(responses, [1])));
        return g.add(x, conv(g, g.add(scaled, hidden), 'project'));
      }),
    ).toEqual(['expand 4→4', 'project 4→4']);
  });

  it.each<[string, (g: Builder, x: Value) => Value]>([
    [
      'a convolution before the pooling that a bottleneck of one place follows',
      (g, x) =>
        g.mul(
          g.relu(conv(g, x, 'last')),
          g.sigmoid(conv(g, g.reduceMean(g.relu(conv(g, x, 'before')), [2, 3]), 'gate')),
        ),
    ],
    [
      'a bottleneck of ResNet',
      (g, x) => {
        const block = (input: Value, name: string) => {
          const inner = g.relu(conv(g, g.relu(conv(g, input, `${name}1`)), `${name}2`, 3));
          return g.relu(g.add(conv(g, inner, `${name}3`), input));
        };
        return block(block(x, 'a'), 'b');
      },
    ],
    [
      'an inverted bottleneck of MobileNet',
      (g, x) => {
        const block = (input: Value, name: string) =>
          conv(g, g.relu(conv(g, g.relu(conv(g, input, `${name}1`)), `${name}2`, 3)), `${name}3`);
        return block(block(x, 'a'), 'b');
      },
    ],
    [
      'a squeeze-and-excitation gate',
      (g, x) => {
        const squeezed = g.relu(conv(g, g.reduceMean(x, [2, 3]), 'reduce'));
        return g.mul(conv(g, x, 'last', 3), g.sigmoid(conv(g, squeezed, 'expand')));
      },
    ],
  ])('are none in %s', (_, inner) => {
    expect(matricesOf(inner)).toEqual([]);
  });
});

describe('a policy of adapters', () => {
  it.each([
    ['lora:8', { kind: 'lora', rank: 8, alpha: 16 }, 'lora:8'],
    ['LoRA:8:16', { kind: 'lora', rank: 8, alpha: 16 }, 'lora:8'],
    ['lora:4:2.5', { kind: 'lora', rank: 4, alpha: 2.5 }, 'lora:4:2.5'],
    ['lora:4@2', { kind: 'lora', rank: 4, alpha: 8, blocks: 2 }, 'lora:4@2'],
    ['lora:4:4@2', { kind: 'lora', rank: 4, alpha: 4, blocks: 2 }, 'lora:4:4@2'],
  ])('%s is read, and shown in one spelling', (text, policy, shown) => {
    expect(parsePolicy(text)).toEqual(policy);
    expect(showPolicy(parsePolicy(text))).toBe(shown);
  });

  it.each(['lora', 'lora:', 'lora:0', 'lora:8:0', 'lora:8@0', 'lora:-1', 'lora:1.5', 'lora:99999999999999999999'])(
    '%s is refused',
    (text) => {
      expect(() => parsePolicy(text)).toThrow(/expected a policy such as lora:8, lora:8:16 with alpha, .* above 0/);
    },
  );
});
