import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { Builder } from '../../src/graph/builder.js';
import { type Attribute, int, ints, type Value } from '../../src/graph/graph.js';
import { floatTensor, tensor } from '../../src/onnx/tensor.js';
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

/** The layers of a convolution `stem` of a photo [N, 3, 16, 16] and what `rest` makes of its map. */
function layersOf(rest: (g: Builder, map: Value) => Value): LayerTable {
  const g = new Builder(18);
  const map = conv(g, g.input('image', 'float32', [{ batch: 1 }, 3, 16, 16]), 'stem');
  g.output('logits', rest(g, map));
  const [logits] = g.graph.outputs;
  if (!logits) throw new Error('no output');
  return findLayers(g.graph, logits);
}

/** What a layer is, with the names of its parameters. */
const shown = (layers: LayerTable['all']) =>
  layers.map(({ kind, name, parameters }) => `${kind} ${name}: ${parameters.map((each) => each.name).join()}`);

/** Five scores of a map: its mean, and an FC layer. */
const scores = (g: Builder, map: Value) =>
  g.op('MatMul', [g.reduceMean(map, [2, 3], false), constant(g, 'fc.weight', [CHANNELS, 5])], {}, { name: 'fc' });

/** Weights of `shape` whose elements are none that train. */
const halves = (g: Builder, shape: readonly number[]) =>
  g.constant('halves', tensor('float16', shape, new Uint16Array(shape.reduce((product, dim) => product * dim, 1))));

describe('the parameters of a layer', () => {
  const batchNorm = (g: Builder, x: Value, name: string) =>
    g.op('BatchNormalization', [
      x,
      ...['scale', 'shift', 'mean', 'variance'].map((part) => constant(g, `${name}.${part}`, [CHANNELS])),
    ]);

  it('are its weight, its bias, and scale and shift of the normalization behind it', () => {
    const { all } = layersOf((g, map) => {
      const plain = (x: Value, name: string) =>
        g.op('Conv', [x, constant(g, `${name}.weight`, [CHANNELS, CHANNELS, 1, 1])], {}, { name });
      const first = batchNorm(g, conv(g, map, 'a'), 'a');
      const second = batchNorm(g, plain(g.relu(first), 'b'), 'b');
      return scores(g, plain(g.relu(second), 'c'));
    });
    expect(shown(all)).toEqual([
      'conv stem: stem.weight,stem.bias',
      'conv a: a.weight,a.bias,a.scale,a.shift',
      'conv b: b.weight,b.scale,b.shift',
      'conv c: c.weight',
      'fc fc: fc.weight',
    ]);
  });

  it.each<[string, string, (g: Builder, x: Value) => Value]>([
    ['Gemm', 'w', (g, x) => g.op('Gemm', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' })],
    [
      'Gemm with a bias',
      'w,b',
      (g, x) => g.op('Gemm', [x, constant(g, 'w', [CHANNELS, 5]), constant(g, 'b', [5])], {}, { name: 'last' }),
    ],
    ['MatMul', 'w', (g, x) => g.op('MatMul', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' })],
    [
      'MatMul and Add',
      'w,b',
      (g, x) =>
        g.add(g.op('MatMul', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' }), constant(g, 'b', [5])),
    ],
    [
      'MatMul and Add whose bias comes first',
      'w,b',
      (g, x) =>
        g.add(constant(g, 'b', [5]), g.op('MatMul', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' })),
    ],
    [
      'MatMul and Mul',
      'w,b',
      (g, x) =>
        g.mul(g.op('MatMul', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' }), constant(g, 'b', [5])),
    ],
    [
      'MatMul and Add of what is computed',
      'w',
      (g, x) => {
        const y = g.op('MatMul', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' });
        return g.add(y, g.reduceMean(x, [1]));
      },
    ],
    [
      'MatMul that an Add and others read',
      'w,b',
      (g, x) => {
        const y = g.op('MatMul', [x, constant(g, 'w', [CHANNELS, 5])], {}, { name: 'last' });
        return g.mul(g.add(y, constant(g, 'b', [5])), y);
      },
    ],
  ])('of an FC layer by %s are %s', (_, parameters, last) => {
    const { all, fcs } = layersOf((g, map) => last(g, g.reduceMean(map, [2, 3], false)));
    expect(shown(fcs)).toEqual([`fc last: ${parameters}`]);
    expect(all).toHaveLength(2);
  });

  it('leave a normalization to itself where others read the map too', () => {
    const { all } = layersOf((g, map) => {
      const y = conv(g, map, 'a');
      return scores(g, g.add(batchNorm(g, y, 'a'), y));
    });
    expect(shown(all).slice(1, 3)).toEqual([
      'conv a: a.weight,a.bias',
      expect.stringMatching(/^norm .*: a.scale,a.shift$/),
    ]);
  });

  it('are what a weight or a bias is computed from', () => {
    const { all } = layersOf((g, map) => {
      const weight = constant(g, 'weight', [CHANNELS, CHANNELS, 1, 1]);
      const computed = g.op('Conv', [map, weight, g.exp(constant(g, 'log', [CHANNELS]))], {}, { name: 'a' });
      const scaled = g.op('Conv', [computed, g.mul(weight, weight)], {}, { name: 'b' });
      return g.op(
        'Gemm',
        [g.reduceMean(scaled, [2, 3], false), constant(g, 'w', [CHANNELS, 5]), g.exp(constant(g, 'c', [5]))],
        {},
        { name: 'fc' },
      );
    });
    expect(shown(all)).toEqual([
      'conv stem: stem.weight,stem.bias',
      'conv a: weight,log',
      'conv b: weight',
      'fc fc: w,c',
    ]);
  });
});

describe('a normalization', () => {
  const normalized = (op: string, inputs: readonly string[], attributes = {}, domain = '') =>
    shown(
      layersOf((g, map) => {
        const parts = inputs.map((name) => (name === 'input' ? map : constant(g, name, [CHANNELS])));
        return scores(g, g.relu(g.op(op, parts, attributes, { name: 'norm', domain })));
      }).all,
    ).slice(1, -1);

  it.each<[string, Record<string, Attribute>]>([
    ['InstanceNormalization', {}],
    ['GroupNormalization', { num_groups: int(CHANNELS) }],
    ['LayerNormalization', { axis: int(-1) }],
  ])('is a layer as %s, too', (op, attributes) => {
    expect(normalized(op, ['input', 'scale', 'shift'], attributes)).toEqual(['norm norm: scale,shift']);
  });

  it('may have a scale alone', () => {
    expect(normalized('LayerNormalization', ['input', 'scale'], { axis: int(1) })).toEqual(['norm norm: scale']);
  });

  it('trains what its scale is computed from', () => {
    const { all } = layersOf((g, map) => {
      const scale = g.exp(constant(g, 'log', [CHANNELS]));
      return scores(g, g.op('LayerNormalization', [map, scale], { axis: int(1) }));
    });
    expect(shown(all).slice(1)).toEqual([expect.stringMatching(/^norm .*: log$/), 'fc fc: fc.weight']);
  });

  it('is none that another domain defines, whose scale is a parameter by itself', () => {
    expect(normalized('LayerNormalization', ['input', 'scale'], { axis: int(1) }, 'com.example')).toEqual([
      'other scale: scale',
    ]);
  });
});

describe('a convolution behind a pooling', () => {
  /** Whether the 1×1 convolution that reads what `pool` makes of a map is one of the main path. */
  const isMain = (pool: (g: Builder, map: Value) => Value) =>
    names(layersOf((g, map) => scores(g, g.mul(map, g.sigmoid(conv(g, pool(g, map), 'gate'))))).convs).includes('gate');
  const average = (size: readonly number[]) => (g: Builder, map: Value) =>
    g.op('AveragePool', [map], { kernel_shape: ints(size) });

  it.each<[string, boolean, (g: Builder, map: Value) => Value]>([
    ['of the largest of all places', false, (g, map) => g.op('GlobalMaxPool', [map])],
    ['over all places', false, average([16, 16])],
    ['over all places, with Relu', false, (g, map) => g.relu(g.op('GlobalAveragePool', [map]))],
    [
      'over two places each',
      true,
      (g, map) => g.op('Resize', [average([2, 2])(g, map), undefined, undefined, g.vector([1, CHANNELS, 16, 16])]),
    ],
    ['over the rows alone', true, average([16, 1])],
    ['over the columns alone', true, average([1, 16])],
    ['over channels', true, (g, map) => g.mul(map, g.reduceMean(map, [1]))],
    ['over one axis of places', true, (g, map) => g.reduceMean(map, [2])],
    ['of the largest over two axes', true, (g, map) => g.reduceMax(map, [2, 3])],
    ['that is multiplied by the map again', true, (g, map) => g.mul(map, g.op('GlobalAveragePool', [map]))],
  ])('%s counts: %s', (_, expected, pool) => {
    expect(isMain(pool)).toBe(expected);
  });

  it('is an FC layer where a convolution over the whole map gives one place', () => {
    const { convs, fcs } = layersOf((g, map) => {
      const one = g.op('Conv', [map, constant(g, 'w', [CHANNELS, CHANNELS, 16, 16])], {}, { name: 'whole' });
      const pooled = g.op('AveragePool', [one], { kernel_shape: ints([1, 1]) });
      return scores(g, conv(g, pooled, 'behind'));
    });
    expect([names(convs), names(fcs)]).toEqual([['stem'], ['whole', 'behind', 'fc']]);
  });

  it('counts as FC layer before the head where its map was of one row', () => {
    const { convs, fcs } = layersOf((g, map) => {
      const row = g.op('Conv', [map, constant(g, 'w', [CHANNELS, CHANNELS, 16, 1])], {}, { name: 'row' });
      return scores(g, conv(g, average([1, 16])(g, row), 'behind'));
    });
    expect([names(convs), names(fcs)]).toEqual([
      ['stem', 'row'],
      ['behind', 'fc'],
    ]);
  });
});

describe('a 1×1 convolution', () => {
  const wide = (g: Builder, x: Value, kernel: number, attributes: Record<string, Attribute>) =>
    g.op(
      'Conv',
      [
        x,
        constant(g, 'w', [
          CHANNELS,
          CHANNELS / (attributes.group?.kind === 'int' ? attributes.group.value : 1),
          kernel,
          kernel,
        ]),
      ],
      attributes,
      { name: 'hidden' },
    );

  it.each<[string, 'fc' | 'conv', number, Record<string, Attribute>]>([
    ['', 'fc', 1, {}],
    [
      ', whose attributes are the usual ones,',
      'fc',
      1,
      { strides: ints([1, 1]), pads: ints([0, 0, 0, 0]), group: int(1) },
    ],
    [' that skips places', 'conv', 1, { strides: ints([1, 2]) }],
    [' that pads', 'conv', 1, { pads: ints([0, 0, 0, 1]) }],
    [' in groups', 'conv', 1, { group: int(2) }],
    [' in name, of 3×3,', 'conv', 3, { pads: ints([1, 1, 1, 1]) }],
  ])('behind the global pooling%s is a layer of kind %s', (_, kind, kernel, attributes) => {
    const { all } = layersOf((g, map) => scores(g, wide(g, g.op('GlobalAveragePool', [map]), kernel, attributes)));
    expect(all.find(({ name }) => name === 'hidden')?.kind).toBe(kind);
  });

  /** SqueezeNet: the scores of each place, pooled. */
  const squeezed = (channels: number, end: (g: Builder, x: Value) => Value) =>
    layersOf((g, map) => {
      const weight = constant(g, 'w', [channels, CHANNELS, 1, 1]);
      const bias = constant(g, 'b', [channels]);
      return end(g, g.op('Conv', [conv(g, map, 'before'), weight, bias], {}, { name: 'classes' }));
    });
  const pooled = (g: Builder, x: Value) => g.op('Flatten', [g.op('GlobalAveragePool', [g.relu(x)])]);

  it('that gives the classes, which are pooled behind it, is the head', () => {
    const { convs, fcs } = squeezed(5, pooled);
    expect([names(convs), names(fcs)]).toEqual([['stem', 'before'], ['classes']]);
  });

  it('is no head where its channels are not the classes', () => {
    expect(() => squeezed(6, (g, x) => g.slice(pooled(g, x), [0], [5], [1]))).toThrow(
      expect.objectContaining({ code: 'no-classifier' }),
    );
  });

  it('is no head where a normalization is a part of it', () => {
    expect(() =>
      squeezed(5, (g, x) => {
        const parts = ['scale', 'shift', 'mean', 'variance'].map((part) => constant(g, part, [5]));
        return pooled(g, g.op('BatchNormalization', [x, ...parts]));
      }),
    ).toThrow(expect.objectContaining({ code: 'no-classifier' }));
  });
});

describe('a MatMul', () => {
  /** A map's channels multiplied, last among the axes, as ConvNeXt has it. */
  const multiplied = (g: Builder, x: Value) => {
    const last = g.transpose(x, [0, 2, 3, 1]);
    const y = g.op('MatMul', [last, constant(g, 'w', [CHANNELS, CHANNELS])], {}, { name: 'dense' });
    return g.transpose(g.add(y, constant(g, 'b', [CHANNELS])), [0, 3, 1, 2]);
  };
  const kindsOf = ({ all }: LayerTable) => all.map(({ kind, name }) => `${kind} ${name}`);

  it('over all places of a map is a convolution', () => {
    expect(kindsOf(layersOf((g, map) => scores(g, multiplied(g, map))))).toEqual(['conv stem', 'conv dense', 'fc fc']);
  });

  it('over a map of one place is an FC layer', () => {
    const table = layersOf((g, map) => scores(g, multiplied(g, g.op('GlobalAveragePool', [map]))));
    expect(kindsOf(table)).toEqual(['conv stem', 'fc dense', 'fc fc']);
  });

  it('over a map of one row or one column is a convolution', () => {
    for (const kernel of [
      [16, 1],
      [1, 16],
    ]) {
      const table = layersOf((g, map) => {
        const line = g.op('Conv', [map, constant(g, 'k', [CHANNELS, CHANNELS, ...kernel])], {}, { name: 'line' });
        return scores(g, multiplied(g, line));
      });
      expect(kindsOf(table)).toEqual(['conv stem', 'conv line', 'conv dense', 'fc fc']);
    }
  });
});

describe('bias', () => {
  it('trains nothing of a layer that has a weight alone', () => {
    const table = layersOf((g, map) => scores(g, g.conv(map, constant(g, 'bare', [CHANNELS, CHANNELS, 1, 1]))));
    const { layers, warnings } = chooseLayers(parsePolicy('bias'), table, []);
    expect(shown(layers)).toEqual(['conv stem: stem.bias', 'fc fc: fc.weight']);
    expect(warnings).toEqual([]);
  });

  it('says where it trains the head alone', () => {
    const g = new Builder(18);
    const map = g.conv(g.input('image', 'float32', [{ batch: 1 }, 3, 4, 4]), constant(g, 'bare', [CHANNELS, 3, 1, 1]));
    const logits = g.output('logits', scores(g, map));
    const { warnings } = chooseLayers(parsePolicy('bias'), findLayers(g.graph, logits), []);
    expect(warnings).toEqual([expect.stringMatching(/policy bias trains what F1C0 does/)]);
  });
});

describe('a model without the layers of a classifier', () => {
  const refusalOf = (find: () => LayerTable): UserError | undefined => {
    try {
      find();
    } catch (thrown) {
      if (thrown instanceof UserError) return thrown;
      throw thrown;
    }
    return undefined;
  };

  it.each<[string, string, RegExp, (g: Builder, map: Value) => Value]>([
    ['no-classifier', 'ends in a map', /does not end in a fully connected layer/, (_, map) => map],
    [
      'no-classifier',
      'has a convolution behind its last FC layer',
      /does not end in a fully connected layer/,
      (g, map) => g.conv(g.unsqueeze(scores(g, map), [2, 3]), constant(g, 'w', [5, 5, 3, 3]), { pads: [1, 1, 1, 1] }),
    ],
    [
      'unsupported-dtype',
      'has an FC layer of float16',
      /weights of node "fc" \(Gemm\) are float16/,
      (g, map) =>
        g.op('Gemm', [g.cast(g.reduceMean(map, [2, 3], false), 10), halves(g, [CHANNELS, 5])], {}, { name: 'fc' }),
    ],
    [
      'unsupported-dtype',
      'has a MatMul of float16',
      /weights of node "fc" \(MatMul\) are float16/,
      (g, map) =>
        g.op('MatMul', [g.cast(g.reduceMean(map, [2, 3], false), 10), halves(g, [CHANNELS, 5])], {}, { name: 'fc' }),
    ],
    [
      'quantized-model',
      'has an FC layer of whole numbers',
      /node "fc" \(MatMulInteger\) computes with quantized weights/,
      (g, map) =>
        g.op(
          'MatMulInteger',
          [g.reduceMean(map, [2, 3], false), g.constant('w', tensor('int8', [CHANNELS, 5], new Int8Array(20)))],
          {},
          { name: 'fc' },
        ),
    ],
  ])('is refused as %s where it %s', (code, _, message, rest) => {
    const refused = refusalOf(() => layersOf(rest));
    expect(refused?.code).toBe(code);
    expect(refused?.message).toMatch(message);
  });

  it.each<[string, string, RegExp, (g: Builder, image: Value) => Value]>([
    [
      'unsupported-dtype',
      'one of float16',
      /weights of node "stem" \(Conv\) are float16/,
      (g, image) => g.op('Conv', [g.cast(image, 10), halves(g, [3, 3, 1, 1])], {}, { name: 'stem' }),
    ],
    [
      'quantized-model',
      'one of whole numbers',
      /node "stem" \(ConvInteger\) computes with quantized weights/,
      (g, image) =>
        g.op(
          'ConvInteger',
          [image, g.constant('w', tensor('int8', [3, 3, 1, 1], new Int8Array(9)))],
          {},
          { name: 'stem' },
        ),
    ],
  ])('is refused as %s where its convolution is %s', (code, _, message, first) => {
    const g = new Builder(18);
    const map = first(g, g.input('image', 'float32', [{ batch: 1 }, 3, 16, 16]));
    const flat = g.op('Flatten', [g.cast(map, 1)], { axis: int(1) });
    g.output('logits', g.op('MatMul', [flat, constant(g, 'fc', [3 * 256, 5])], {}, { name: 'fc' }));
    const [logits] = g.graph.outputs;
    if (!logits) throw new Error('no output');
    const refused = refusalOf(() => findLayers(g.graph, logits));
    expect(refused?.code).toBe(code);
    expect(refused?.message).toMatch(message);
  });

  it('needs no convolution', () => {
    const g = new Builder(18);
    const flat = g.op('Flatten', [g.input('image', 'float32', [{ batch: 1 }, 3, 4, 4])], { axis: int(1) });
    const hidden = g.relu(g.op('MatMul', [flat, constant(g, 'hidden', [48, 6])], {}, { name: 'hidden' }));
    const logits = g.output('logits', g.op('MatMul', [hidden, constant(g, 'fc', [6, 5])], {}, { name: 'fc' }));
    const table = findLayers(g.graph, logits);
    expect(names(chooseLayers(parsePolicy('FxC0'), table, []).layers)).toEqual(['hidden', 'fc']);
    expect(() => chooseLayers(parsePolicy('F1C1'), table, [])).toThrow(/the model has 2 and 0; choose F1C0 or full/);
  });
});

describe('a mask that the model fills part by part', () => {
  it('has no parameters, whatever number fills a part', () => {
    const { table } = network((g, x) => {
      const at = g.constant('at', { dtype: 'int64', dims: [2, 1], data: BigInt64Array.of(1n, 3n) });
      const part = g.constant('val_7', floatTensor([2, CHANNELS], new Float32Array(2 * CHANNELS).fill(3)));
      const empty = g.constant('val_8', floatTensor([CHANNELS, CHANNELS], new Float32Array(CHANNELS ** 2)));
      const mask = g.transpose(g.op('ScatterND', [empty, at, g.transpose(g.transpose(part, [1, 0]), [1, 0])]), [1, 0]);
      return g.add(x, g.reshape(g.reduceMean(mask, [0], false), [1, CHANNELS, 1, 1]));
    });
    expect(table.buffers.map(({ value, reason }) => [value.name, reason]).sort()).toEqual([
      ['val_7', 'a mask that is filled part by part'],
      ['val_8', 'a mask that is filled part by part'],
    ]);
  });
});
