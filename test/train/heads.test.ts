import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { inspect } from '../../src/artifacts/inspectModel.js';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { Builder } from '../../src/graph/builder.js';
import { int, text, type Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { readModel, writeModel } from '../../src/onnx/model.js';
import { elementCount, floatTensor, intTensor } from '../../src/onnx/tensor.js';
import { Random } from '../../src/random.js';
import { Trainer } from '../../src/train/trainer.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const CLASSES = 10;
const random = new Random(5);
const weight = (g: Builder, name: string, dims: readonly number[]) => {
  const scale = Math.sqrt(2 / elementCount(dims.slice(1)));
  return g.constant(
    name,
    floatTensor(
      dims,
      Array.from({ length: elementCount(dims) }, () => scale * random.normal()),
    ),
  );
};

/** Two convolutions from an image [N, 3, 16, 16] or [N, 16, 16, 3] to a map [N, 12, 8, 8]. */
function trunk(g: Builder, channelsLast: boolean): Value {
  const image = g.input('image', 'float32', channelsLast ? [{ batch: 1 }, 16, 16, 3] : [{ batch: 1 }, 3, 16, 16]);
  const x = channelsLast ? g.transpose(image, [0, 3, 1, 2]) : image;
  const first = g.relu(g.conv(x, weight(g, 'w1', [8, 3, 3, 3]), { pads: [1, 1, 1, 1], strides: [2, 2] }));
  return g.relu(
    g.op('Conv', [first, weight(g, 'w2', [12, 8, 3, 3])], { auto_pad: text('SAME_UPPER') }, { name: 'second' }),
  );
}

const shapeOf = (g: Builder, dims: readonly number[]) => g.constant('shape', intTensor([dims.length], dims));
const heads: Record<string, (g: Builder) => Value> = {
  'a 1×1 convolution before the pooling, as in SqueezeNet': (g) => {
    const map = g.relu(
      g.conv(trunk(g, false), weight(g, 'head', [CLASSES, 12, 1, 1]), {}, weight(g, 'bias', [CLASSES])),
    );
    return g.op('Reshape', [g.op('GlobalAveragePool', [map]), shapeOf(g, [-1, CLASSES])]);
  },
  'a 1×1 convolution behind the pooling, as in MobileNetV3 of Keras': (g) => {
    const pooled = g.op('GlobalAveragePool', [trunk(g, true)]);
    const hidden = g.op('HardSwish', [g.conv(pooled, weight(g, 'hidden', [16, 12, 1, 1]))]);
    const scores = g.transpose(g.conv(hidden, weight(g, 'head', [CLASSES, 16, 1, 1])), [0, 2, 3, 1]);
    return g.softmax(g.op('Reshape', [scores, shapeOf(g, [-1, CLASSES])]), -1);
  },
  'MatMul and Add behind a mean over space, as tf2onnx writes it': (g) => {
    const pooled = g.reduceMean(g.transpose(trunk(g, true), [0, 2, 3, 1]), [1, 2], false);
    return g.softmax(g.add(g.matmul(pooled, weight(g, 'head', [12, CLASSES])), weight(g, 'bias', [CLASSES])), -1);
  },
  'Gemm behind an AveragePool of all the map': (g) => {
    const pooled = g.op('AveragePool', [trunk(g, false)], { kernel_shape: { kind: 'ints', value: [8, 8] } });
    return g.gemm(g.op('Flatten', [pooled], { axis: int(1) }), weight(g, 'head', [CLASSES, 12]), { transB: true });
  },
};

describe('heads of other exporters', () => {
  let dataset: Dataset;
  beforeAll(async () => {
    const pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 6, valPerClass: 4, size: 32, seed: 2 });
    dataset = await ImageFolder.open(pictures, { seed: 0 });
  });

  it.each(Object.entries(heads))('trains and exports %s', async (_, build) => {
    const path = join(folder(), 'model.onnx');
    const g = new Builder(18);
    g.output('result', build(g));
    await writeModel(modelOfGraph(g.graph, 'test'), path);
    const model = readModel(path);
    const report = inspect(model, { batch: 4 });
    expect(report.classes).toBe(CLASSES);
    expect(report.layers.at(-1)?.policyName).toBe('F1');
    expect(
      report.layers.filter(({ policyName }) => policyName.startsWith('C')).map(({ policyName }) => policyName),
    ).toEqual(['C2', 'C1']);
    for (const policy of ['F1C0', 'F1C1', 'full']) {
      const out = folder();
      const losses: number[] = [];
      const summary = await new Trainer({ model, dataset, policy, out, epochs: 4, batch: 6, threads: 2 }).run(
        (event) => {
          if (event.type === 'epoch') losses.push(event.result.trainLoss);
        },
      );
      expect(losses.at(-1), policy).toBeLessThan(losses[0] ?? 0);
      expect(summary.verified, policy).toMatchObject({ photos: 24, agreeing: 24, ok: true });
      // What was exported is a classifier that can be trained again.
      expect(inspect(readModel(summary.model), { batch: 4 }).classes).toBe(6);
    }
  });
});
