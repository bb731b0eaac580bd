import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classifierOf } from '../../src/artifacts/prepare.js';
import { Builder } from '../../src/graph/builder.js';
import type { Graph, Value } from '../../src/graph/graph.js';
import { readModel } from '../../src/onnx/model.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { findBlocks } from '../../src/policy/blocks.js';
import { findLayers } from '../../src/policy/layers.js';
import { EFFICIENTNET_B0, EFFICIENTNET_B2, SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';

/** Networks as their papers lay them out, four channels wide. */
class Network {
  private readonly g = new Builder(18);
  private readonly image = this.g.input('image', 'float32', [{ batch: 1 }, 3, 64, 64]);

  conv(x: Value, kernel: number, stride = 1): Value {
    const inputs = Number(x.shape?.[1]);
    const weight = this.g.constant(
      'weight',
      floatTensor([4, inputs, kernel, kernel], new Float32Array(4 * inputs * kernel ** 2)),
    );
    const pad = (kernel - 1) / 2;
    return this.g.conv(x, weight, { strides: [stride, stride], pads: [pad, pad, pad, pad] });
  }

  relu = (x: Value) => this.g.relu(x);

  /** Any operator of x and constants of ones, one for each channel. */
  op = (op: string, ...inputs: readonly (Value | 'constant')[]) =>
    this.g.op(
      op,
      inputs.map((input) =>
        input === 'constant' ? this.g.constant('c', floatTensor([4, 1, 1], new Float32Array(4).fill(1))) : input,
      ),
    );

  transpose = (x: Value) => this.g.transpose(x, [0, 1, 3, 2]);
  pad = (x: Value) => this.g.pad(x, [0, 0, 1, 1, 0, 0, 1, 1]);
  concat = (...xs: readonly Value[]) => this.g.concat(xs, 1);

  build(stem: (image: Value) => Value, ...blocks: ((x: Value) => Value)[]): Graph {
    let x = stem(this.image);
    for (const block of blocks) x = block(x);
    const width = Number(x.shape?.[1]);
    const head = this.g.constant('head', floatTensor([width, 5], new Float32Array(5 * width)));
    this.g.output('logits', this.g.matmul(this.g.reduceMean(x, [2, 3], false), head));
    return this.g.graph;
  }

  /** He et al. 2016: `layers` convolutions beside a shortcut, which has one too where the block is the first of its stage. */
  residual = (kernels: readonly number[], isFirst: boolean, stride: number) => (x: Value) => {
    let y = x;
    kernels.forEach((kernel, index) => {
      y = this.conv(index === 0 ? y : this.relu(y), kernel, index === 0 ? stride : 1);
    });
    return this.relu(this.g.add(y, isFirst ? this.conv(x, 1, stride) : x));
  };

  /** Sandler et al. 2018: a shortcut where neither width nor size changes. */
  inverted = (isExpanded: boolean, hasShortcut: boolean) => (x: Value) => {
    const wide = isExpanded ? this.relu(this.conv(x, 1)) : x;
    const y = this.conv(this.relu(this.conv(wide, 3)), 1);
    return hasShortcut ? this.g.add(x, y) : y;
  };
}

const blocksOf = (graph: Graph) => {
  const [logits] = graph.outputs;
  if (!logits) throw new Error('no output');
  return findBlocks(graph, findLayers(graph, logits));
};
const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, index) => make(index));

describe('findBlocks', () => {
  it.each([
    ['ResNet-18', [2, 2, 2, 2], [3, 3], false, 8],
    ['ResNet-34', [3, 4, 6, 3], [3, 3], false, 16],
    ['ResNet-50', [3, 4, 6, 3], [1, 3, 1], true, 16],
  ])('counts the blocks of %s', (_, stages, kernels, projectsFirst, expected) => {
    const network = new Network();
    const graph = network.build(
      (image) => network.relu(network.conv(image, 7, 2)),
      ...stages.flatMap((count, stage) =>
        times(count, (index) =>
          network.residual(kernels, index === 0 && (stage > 0 || projectsFirst), index === 0 && stage > 0 ? 2 : 1),
        ),
      ),
    );
    const blocks = blocksOf(graph);
    expect(blocks).toHaveLength(expected);
    expect(blocks[0]?.layers).toHaveLength(kernels.length + (projectsFirst ? 1 : 0));
    expect(blocks.at(-1)?.layers).toHaveLength(kernels.length);
  });

  it('counts the 17 blocks of MobileNetV2, of which 10 have a shortcut', () => {
    const network = new Network();
    const stages = [1, 2, 3, 4, 3, 3, 1];
    const graph = network.build(
      (image) => network.relu(network.conv(image, 3, 2)),
      ...stages.flatMap((count, stage) => times(count, (index) => network.inverted(stage > 0, index > 0))),
      (x) => network.relu(network.conv(x, 1)),
    );
    const blocks = blocksOf(graph);
    expect(blocks.map(({ layers }) => layers.length)).toEqual([2, ...times(16, () => 3)]);
  });

  it('takes no downsampling convolution between blocks for one', () => {
    const network = new Network();
    const block = network.residual([3, 3], false, 1);
    expect(
      blocksOf(
        network.build(
          (image) => network.conv(image, 3, 2),
          block,
          (x) => network.conv(x, 3, 2),
          block,
        ),
      ),
    ).toHaveLength(2);
  });

  it.each<[string, (network: Network, a: Value, b: Value) => Value]>([
    ['Sum', (network, a, b) => network.op('Sum', a, b)],
    ['Concat, as DenseNet has it', (network, a, b) => network.concat(a, b)],
  ])('takes a shortcut by %s', (_, join) => {
    const network = new Network();
    const block = (x: Value) => join(network, x, network.conv(network.relu(network.conv(x, 1)), 3));
    const stem = (image: Value) => network.conv(image, 3, 2);
    expect(blocksOf(network.build(stem, block, block)).map(({ layers }) => layers.length)).toEqual([2, 2]);
  });

  it.each<[string, (network: Network) => (x: Value) => Value]>([
    ['a product with what is computed', (network) => (x) => network.op('Mul', x, network.relu(network.conv(x, 1)))],
    ['a sum without layers', (network) => (x) => network.op('Add', x, network.op('Tanh', x))],
    ['a sum with a constant', (network) => (x) => network.op('Add', x, 'constant')],
  ])('takes %s for no shortcut', (_, part) => {
    const network = new Network();
    expect(blocksOf(network.build((image) => network.conv(image, 3, 2), part(network), part(network)))).toEqual([]);
  });

  it('finds no linear bottlenecks in a network without any shortcut', () => {
    const network = new Network();
    const block = network.inverted(true, false);
    expect(blocksOf(network.build((image) => network.relu(network.conv(image, 3, 2)), block, block))).toEqual([]);
  });

  it('takes a sum without layers for no block, and a part of one that it lies in', () => {
    const network = new Network();
    const activation = (x: Value) => network.op('Add', x, network.op('Tanh', x));
    const graph = network.build(
      (image) => activation(network.conv(image, 3, 2)),
      network.residual([3, 3], false, 1),
      (x) => network.conv(activation(network.conv(x, 1)), 1),
      network.residual([3, 3], false, 1),
    );
    expect(blocksOf(graph).map(({ layers }) => layers.length)).toEqual([2, 2, 2]);
  });

  /** Two bottlenecks, the first of which has no shortcut, and what lies behind each. */
  const bottlenecks = (behind: (network: Network, x: Value) => Value) => {
    const network = new Network();
    const wide = (x: Value) => network.conv(network.relu(network.conv(x, 1)), 1);
    return network.build(
      (image) => network.relu(network.conv(image, 3, 2)),
      (x) => behind(network, wide(x)),
      (x) => network.op('Add', x, wide(x)),
    );
  };

  it.each<[string, (network: Network, x: Value) => Value]>([
    ['nothing', (_, x) => x],
    [
      'a normalization that was taken apart',
      (network, x) => network.op('Add', network.op('Mul', x, 'constant'), 'constant'),
    ],
    [
      'one of which the constants come first',
      (network, x) => network.op('Sub', 'constant', network.op('Mul', 'constant', x)),
    ],
    ['padding', (network, x) => network.pad(x)],
    ['another order of axes', (network, x) => network.transpose(x)],
    ['its double', (network, x) => network.op('Add', x, x)],
  ])('sees a linear bottleneck through %s', (_, behind) => {
    expect(blocksOf(bottlenecks(behind)).map(({ layers }) => layers.length)).toEqual([2, 2]);
  });

  it.each<[string, (network: Network, x: Value) => Value]>([
    ['an activation', (network, x) => network.relu(x)],
    ['its square', (network, x) => network.op('Mul', x, x)],
    ['its double, and an activation', (network, x) => network.relu(network.op('Add', x, x))],
    [
      'a normalization that was taken apart, and an activation',
      (network, x) => network.relu(network.op('Add', x, 'constant')),
    ],
    [
      'an activation beside others',
      (network, x) => network.op('Mul', network.op('Mul', x, 'constant'), network.op('Sigmoid', x)),
    ],
  ])('takes no convolution before %s for a linear bottleneck', (_, behind) => {
    // Its layers then belong to no block.
    expect(blocksOf(bottlenecks(behind)).map(({ layers }) => layers.length)).toEqual([2]);
  });

  it('finds those of small networks as torch.onnx writes them, gates with them', () => {
    const sizes = (path: string) => {
      const { graph, layers } = classifierOf(readModel(path));
      return findBlocks(graph, layers).map((block) => block.layers.length);
    };
    expect(sizes(TINY_MBCONV)).toEqual([5, 5, 5]);
    expect(sizes(TINY_RESNET)).toEqual([2, 3]);
    expect(sizes(SMALL_CNN)).toEqual([]);
  });

  // Tan and Le 2019, Table 1, and the depth factor 1.2 of B2.
  for (const [path, expected] of [
    [EFFICIENTNET_B0, 16],
    [EFFICIENTNET_B2, 23],
  ] as const) {
    it.skipIf(!existsSync(path))(
      `counts ${expected} blocks of EfficientNet (skipped where the file is missing)`,
      () => {
        const { graph, layers } = classifierOf(readModel(path));
        const blocks = findBlocks(graph, layers);
        expect(blocks).toHaveLength(expected);
        // Expansion, depthwise convolution, two of the gate, projection; the first stage does not expand.
        expect(blocks[0]?.layers).toHaveLength(4);
        expect(blocks.slice(3).map((block) => block.layers.length)).toEqual(times(expected - 3, () => 5));
      },
    );
  }
});
