import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { int, ints, type Value } from '../../src/graph/graph.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { findBlocks } from '../../src/policy/blocks.js';
import { findLayers, type LayerTable } from '../../src/policy/layers.js';
import { chooseLayers, parsePolicy } from '../../src/policy/policy.js';

const CHANNELS = 4;

/** A residual block whose branch holds what `gate` makes, between a stem and a head. */
function network(gate: (g: Builder, x: Value) => Value): { table: LayerTable; blocks: number } {
  const g = new Builder(18);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 16, 16]);
  const stem = g.relu(conv(g, image, 'stem'));
  const gated = gate(g, g.relu(conv(g, stem, 'first')));
  const joined = g.relu(g.add(conv(g, gated, 'last'), stem));
  const logits = g.matmul(g.reduceMean(joined, [2, 3], false), constant(g, 'head', [CHANNELS, 5]));
  g.output('logits', logits);
  const [output] = g.graph.outputs;
  if (!output) throw new Error('no output');
  const table = findLayers(g.graph, output);
  return { table, blocks: findBlocks(g.graph, table).length };
}

function constant(g: Builder, name: string, dims: readonly number[]): Value {
  return g.constant(name, floatTensor(dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1))));
}

function conv(g: Builder, x: Value, name: string): Value {
  const inputs = Number(x.shape?.[1]);
  return g.op(
    'Conv',
    [x, constant(g, `${name}.weight`, [CHANNELS, inputs, 1, 1]), constant(g, `${name}.bias`, [CHANNELS])],
    {},
    { name },
  );
}

const names = (layers: LayerTable['all']) => layers.map(({ name }) => name);

describe('squeeze-excite', () => {
  it.each<[string, (g: Builder, x: Value) => Value]>([
    [
      'as RegNetY has it',
      (g, x) => {
        const squeezed = g.relu(conv(g, g.op('GlobalAveragePool', [x]), 'reduce'));
        return g.mul(g.sigmoid(conv(g, squeezed, 'expand')), x);
      },
    ],
    [
      'as MobileNetV3 has it, with a hard sigmoid',
      (g, x) => {
        const squeezed = g.relu(conv(g, g.reduceMean(x, [2, 3]), 'reduce'));
        return g.mul(x, g.op('HardSigmoid', [conv(g, squeezed, 'expand')]));
      },
    ],
    [
      'with channels last, as tf2onnx writes Keras models',
      (g, x) => {
        const last = g.transpose(x, [0, 2, 3, 1]);
        const first = (value: Value) => g.transpose(value, [0, 3, 1, 2]);
        const back = (value: Value) => g.transpose(value, [0, 2, 3, 1]);
        const squeezed = g.relu(back(conv(g, first(g.reduceMean(last, [1, 2])), 'reduce')));
        const six = g.op('Clip', [
          g.add(back(conv(g, first(squeezed), 'expand')), g.scalar(3)),
          g.scalar(0),
          g.scalar(6),
        ]);
        return first(g.mul(g.mul(six, g.scalar(1 / 6)), last));
      },
    ],
    [
      'of fully connected layers',
      (g, x) => {
        const flat = g.op('Flatten', [g.op('GlobalAveragePool', [x])], { axis: int(1) });
        const fc = (value: Value, name: string) =>
          g.op('Gemm', [value, constant(g, `${name}.weight`, [CHANNELS, CHANNELS])], {}, { name });
        return g.mul(x, g.unsqueeze(g.sigmoid(fc(g.relu(fc(flat, 'reduce')), 'expand')), [2, 3]));
      },
    ],
    [
      'from a mean over axes that count from the end',
      (g, x) => {
        const squeezed = g.relu(conv(g, g.reduceMean(x, [-1, -2]), 'reduce'));
        return g.mul(x, g.sigmoid(conv(g, squeezed, 'expand')));
      },
    ],
    [
      'from an average pooling over the whole map',
      (g, x) => {
        const pooled = g.op('AveragePool', [x], { kernel_shape: ints([16, 16]) });
        return g.mul(x, g.sigmoid(conv(g, g.relu(conv(g, pooled, 'reduce')), 'expand')));
      },
    ],
  ])('is not counted, and trains with its block: %s', (_, gate) => {
    const { table, blocks } = network(gate);
    expect(names(table.convs)).toEqual(['stem', 'first', 'last']);
    expect(table.fcs).toHaveLength(1);
    expect(names(table.all).slice(0, 5)).toEqual(['stem', 'first', 'reduce', 'expand', 'last']);
    expect(blocks).toBe(1);
  });
});

describe('a normalization that follows no convolution', () => {
  // As before a convolution in DenseNet, and in ResNet's second version.
  const { table, blocks } = network((g, x) => {
    const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map((name) =>
      constant(g, name, [CHANNELS]),
    );
    return g.relu(g.op('BatchNormalization', [x, scale, shift, mean, variance], {}, { name: 'norm' }));
  });

  it('is a layer that F{x}C{y} does not count', () => {
    expect(blocks).toBe(1);
    expect(names(table.convs)).toEqual(['stem', 'first', 'last']);
    expect(names(table.all).slice(0, 4)).toEqual(['stem', 'first', 'norm', 'last']);
  });

  it.each([
    ['full', ['norm/scale', 'norm/shift']],
    ['bias', ['norm/shift']],
    ['F1C1', []],
    ['F1C2', ['norm/scale', 'norm/shift']],
    ['layers:norm', ['norm/scale', 'norm/shift']],
    ['layers:sh*', ['norm/shift']],
  ])('trains with %s: %j', (policy, expected) => {
    const { layers } = chooseLayers(parsePolicy(policy), table, []);
    const trained = layers.flatMap((layer) => layer.parameters.map(({ name }) => `${layer.name}/${name}`));
    expect(trained.filter((name) => name.startsWith('norm/'))).toEqual(expected);
  });
});
