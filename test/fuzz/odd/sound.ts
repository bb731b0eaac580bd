import { Builder } from '../../../src/graph/builder.js';
import { float, int, ints, type Value } from '../../../src/graph/graph.js';
import { modelOfGraph } from '../../../src/graph/proto.js';
import { setMetadata } from '../../../src/onnx/model.js';
import type { ModelProto } from '../../../src/onnx/onnx_pb.js';
import { floatTensor } from '../../../src/onnx/tensor.js';
import type { Random } from '../../../src/random.js';

export const CLASSES = ['a', 'b', 'c', 'd', 'e'] as const;
export const SIDE = 8;
/** Weights are whole multiples of it: they keep their value as int8, in float16 and in bfloat16 too. */
export const UNIT = 2 ** -7;
/** Exact in float16. */
const EPSILON = 2 ** -10;
/** What the image of every model is called, and its scores. */
export const [IMAGE, LOGITS] = ['image', 'logits'] as const;

/** A classifier that no exporter has left anything odd in. */
export interface Sound {
  readonly model: ModelProto;
  readonly channels: 1 | 3;
}

/** A random sound classifier, of convolutions or a transformer; with its labels, so that what is compiled of it goes on with its head. */
export function soundModel(random: Random): Sound {
  const channels = random.next() < 0.1 ? 1 : 3;
  const g = new Builder(random.pick([9, 13, 17, 18]));
  const layers = new Layers(g, random);
  const image = g.input(IMAGE, 'float32', [{ batch: 1 }, channels, SIDE, SIDE]);
  const features =
    g.graph.opset >= 13 && random.next() < 0.25
      ? layers.transformer(image, channels)
      : layers.convolutions(image, channels);
  g.output(LOGITS, layers.head(features));
  const model = modelOfGraph(g.graph, 'net');
  setMetadata(
    model,
    new Map([
      ['labels', JSON.stringify(CLASSES)],
      ['ort_tl.policy', 'F1C0'],
    ]),
  );
  return { model, channels };
}

class Layers {
  private count = 0;

  constructor(
    private readonly g: Builder,
    private readonly random: Random,
  ) {}

  /** [N, C] of an image. */
  convolutions(image: Value, channels: number): Value {
    const { g, random } = this;
    let x = this.conv(image, channels, 4, 3);
    let width = 4;
    for (let block = random.integer(3); block > 0; block--) {
      const next = random.pick([4, 6]);
      const inside = this.activation(this.norm(this.conv(x, width, next, random.pick([1, 3])), next), next);
      x = next === width && random.next() < 0.6 ? g.add(inside, x) : inside;
      width = next;
      if (random.next() < 0.3) x = this.gate(x, width);
      if (random.next() < 0.2) x = g.mul(x, this.weight('scale', [1, width, 1, 1]));
      if (random.next() < 0.2) x = this.imageNorm(x);
    }
    x = this.activation(this.norm(this.conv(x, width, 6, 1), 6), 6);
    const pooled = random.next() < 0.5 ? g.op('GlobalAveragePool', [x]) : this.globalMean(x);
    return g.op('Flatten', [pooled], {}, { name: 'flatten' });
  }

  /** The same of a vision transformer: patches, a class token, positions, blocks of attention and perceptron. */
  transformer(image: Value, channels: number): Value {
    const { g, random } = this;
    const [width, patches] = [4, (SIDE / 4) ** 2];
    const patch = g.op(
      'Conv',
      [image, this.weight('patch.weight', [width, channels, 4, 4]), this.weight('patch.bias', [width])],
      { kernel_shape: ints([4, 4]), strides: ints([4, 4]) },
      { name: 'patch' },
    );
    let x = g.transpose(g.op('Reshape', [patch, g.vector([0, width, patches])]), [0, 2, 1]);
    const token = this.weight('token', [1, 1, width]);
    const batch = g.slice(g.op('Shape', [x]), [0], [1], [0]);
    x = g.concat([g.op('Expand', [token, g.concat([batch, g.vector([1, width])], 0)]), x], 1);
    x = g.add(x, this.weight('positions', [1, patches + 1, width]));
    for (let block = 1 + random.integer(2); block > 0; block--) {
      const y = this.layerNorm(x, width);
      const [q, k, v] = ['q', 'k', 'v'].map((name) => this.linear(name, y, width, width));
      if (!q || !k || !v) throw new Error('unreachable');
      const scores = g.mul(g.matmul(q, g.transpose(k, [0, 2, 1])), g.scalar(0.5));
      x = g.add(x, this.linear('out', g.matmul(g.softmax(scores, -1), v), width, width));
      const inside = g.relu(this.linear('mlp1', this.layerNorm(x, width), width, 6));
      x = g.add(x, this.linear('mlp2', inside, 6, width));
    }
    const first = g.slice(this.layerNorm(x, width), [0], [1], [1]);
    return this.linear('last', g.op('Reshape', [first, g.vector([0, width])]), width, 6);
  }

  head(features: Value): Value {
    const { g, random } = this;
    const count = CLASSES.length;
    const bias = this.weight('head.bias', [count]);
    if (random.next() < 0.3)
      return g.add(g.op('MatMul', [features, this.weight('head.weight', [6, count])], {}, { name: 'head' }), bias);
    const transB = random.next() < 0.5;
    const weight = this.weight('head.weight', transB ? [count, 6] : [6, count]);
    return g.op('Gemm', [features, weight, bias], { transB: int(transB ? 1 : 0) }, { name: 'head' });
  }

  private conv(x: Value, from: number, to: number, kernel: number): Value {
    const name = this.name('conv');
    const bias = this.random.next() < 0.7 ? [this.weight(`${name}.bias`, [to])] : [];
    const pad = (kernel - 1) / 2;
    const attributes = { kernel_shape: ints([kernel, kernel]), pads: ints([pad, pad, pad, pad]) };
    return this.g.op('Conv', [x, this.weight(`${name}.weight`, [to, from, kernel, kernel]), ...bias], attributes, {
      name,
    });
  }

  private norm(x: Value, width: number): Value {
    if (this.random.next() < 0.3) return x;
    const name = this.name('norm');
    const of = (part: string, least: number) => this.weight(`${name}.${part}`, [width], least);
    return this.g.op(
      'BatchNormalization',
      [x, of('gamma', 0.5), of('beta', -1), of('mean', -1), of('variance', 0.5)],
      { epsilon: float(EPSILON) },
      { name },
    );
  }

  private activation(x: Value, width: number): Value {
    const { g } = this;
    switch (this.random.integer(6)) {
      case 0:
        return g.op('PRelu', [x, this.weight('slope', [width, 1, 1])]);
      case 1:
        return g.op('HardSigmoid', [x], { alpha: float(0.25), beta: float(0.5) });
      case 2:
        return g.mul(x, g.sigmoid(x));
      case 3:
        if (g.graph.opset < 11) return g.relu(x);
        return g.op('Clip', [x, g.scalar(0), g.scalar(6)]);
      default:
        return g.relu(x);
    }
  }

  private gate(x: Value, width: number): Value {
    const { g } = this;
    const squeezed = g.op('GlobalAveragePool', [x]);
    return g.mul(x, g.sigmoid(this.conv(g.relu(this.conv(squeezed, width, 2, 1)), 2, width, 1)));
  }

  /** x minus its mean over the image. */
  private imageNorm(x: Value): Value {
    const { g } = this;
    return g.sub(x, this.reduceMean(x, [1, 2, 3], this.name('image_mean')));
  }

  private layerNorm(x: Value, width: number): Value {
    const { g } = this;
    const [gamma, beta] = [this.weight('gamma', [width], 0.5), this.weight('beta', [width])];
    if (g.graph.opset >= 17)
      return g.op('LayerNormalization', [x, gamma, beta], { axis: int(-1), epsilon: float(EPSILON) });
    const centred = g.sub(x, this.mean(x));
    const deviation = g.sqrt(g.add(this.mean(g.mul(centred, centred)), g.scalar(EPSILON)));
    return g.add(g.mul(g.div(centred, deviation), gamma), beta);
  }

  private mean(x: Value): Value {
    return this.reduceMean(x, [-1]);
  }

  private globalMean(x: Value): Value {
    return this.reduceMean(x, [2, 3]);
  }

  private reduceMean(x: Value, axes: readonly number[], name?: string): Value {
    const { g } = this;
    const isInput = g.graph.opset >= 18;
    return g.op(
      'ReduceMean',
      isInput ? [x, g.vector(axes)] : [x],
      { keepdims: int(1), ...(isInput ? {} : { axes: ints(axes) }) },
      name === undefined ? {} : { name },
    );
  }

  private linear(base: string, x: Value, from: number, to: number): Value {
    const name = this.name(base);
    const product = this.g.op('MatMul', [x, this.weight(`${name}.weight`, [from, to])], {}, { name });
    return this.g.add(product, this.weight(`${name}.bias`, [to]));
  }

  /** Numbers from `least` to 1, as multiples of {@link UNIT}. */
  private weight(name: string, dims: readonly number[], least = -1): Value {
    const steps = (0.99 - least) / UNIT;
    return this.g.constant(
      this.g.uniqueName(name),
      floatTensor(
        dims,
        Array.from(
          { length: dims.reduce((a, b) => a * b, 1) },
          () => Math.trunc((least + UNIT * this.random.integer(steps)) / UNIT) * UNIT,
        ),
      ),
    );
  }

  private name(base: string): string {
    return `${base}${++this.count}`;
  }
}
