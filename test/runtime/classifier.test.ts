import { create } from '@bufbuild/protobuf';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Value } from '../../src/graph/graph.js';
import { protoOfValue } from '../../src/graph/proto.js';
import { decodeModel, encodeModel, setMetadata } from '../../src/onnx/model.js';
import { type ModelProto, type TensorShapeProto_Dimension, TensorShapeProtoSchema } from '../../src/onnx/onnx_pb.js';
import { floatTensor, intTensor, protoOfTensor, tensor } from '../../src/onnx/tensor.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { SMALL_CNN } from '../models.js';
import { changed, images, int, largestDifference, named, node, run, SIDE, soundModel } from '../plain/oddModels.js';

const CLASSES = 20;
const good = { width: 32, height: 32, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] };
const names = (count: number) => Array.from({ length: count }, (_, index) => `class ${index}`);

/** The small CNN for twenty classes, which takes images of 32 × 32 pixels, with metadata as given. */
function model(metadata: Record<string, unknown>, change: (proto: ModelProto) => void = () => undefined): string {
  const proto = decodeModel(readFileSync(SMALL_CNN), SMALL_CNN);
  const entries = Object.entries(metadata).map(([key, value]): [string, string] => [key, JSON.stringify(value)]);
  proto.metadataProps = [];
  setMetadata(proto, new Map(entries));
  change(proto);
  const path = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'tuned.onnx');
  writeFileSync(path, encodeModel(proto));
  return path;
}

/** Sets what the file says of how many images it takes at once. */
const batchOf = (count: number) => (proto: ModelProto) => {
  for (const info of [...(proto.graph?.input ?? []), ...(proto.graph?.output ?? [])]) {
    const dim: TensorShapeProto_Dimension | undefined = info.type?.tensorType?.shape?.dim[0];
    if (dim) dim.value = { case: 'dimValue', value: BigInt(count) };
  }
};

/** Sets what the file says of its input or its output. */
const shapes =
  (end: 'input' | 'output', elemType: number, dims: readonly (number | string)[]) => (proto: ModelProto) => {
    const [info] = proto.graph?.[end] ?? [];
    const type = info?.type?.tensorType;
    if (!type) throw new Error('the model has no types');
    type.elemType = elemType;
    type.shape = create(TensorShapeProtoSchema, {
      dim: dims.map((dim) => ({
        value:
          typeof dim === 'number'
            ? { case: 'dimValue' as const, value: BigInt(dim) }
            : { case: 'dimParam' as const, value: dim },
      })),
    });
  };

describe('an exported model', () => {
  it('is opened with the labels and the preprocessing of its metadata', async () => {
    const classifier = await ImageClassifier.open(model({ labels: names(CLASSES), preprocessing: good }));
    expect(classifier.labels).toEqual(names(CLASSES));
    expect(classifier.preprocessing).toEqual(good);
    await classifier.close();
  });

  it('is opened without metadata where the classes are named, and tells what of its preprocessing is guessed', async () => {
    const classifier = await ImageClassifier.open(model({}), 1, { labels: names(CLASSES) });
    expect(classifier.labels).toEqual(names(CLASSES));
    expect(classifier.preprocessing).toMatchObject({ width: 32, height: 32, mean: [0.485, 0.456, 0.406] });
    expect(classifier.stated.warnings).toHaveLength(1);
    const told = await ImageClassifier.open(model({}), 1, { labels: names(CLASSES), preprocessing: 'tf' });
    expect(told.stated).toMatchObject({ preprocessing: { mean: [0.5, 0.5, 0.5] }, warnings: [] });
    await told.close();
    await classifier.close();
    await expect(ImageClassifier.open(model({}), 1, { labels: names(3) })).rejects.toThrow(
      /3 classes are named .* scores for 20/,
    );
  });

  it.each<[string, string, (proto: ModelProto) => void, RegExp]>([
    [
      'takes text',
      'unsupported-input',
      shapes('input', 7, ['batch', 'sequence']),
      /takes no images in colour or grey: its input "[^"]+" is int64 \[batch, sequence\]/,
    ],
    ['takes sound', 'unsupported-input', shapes('input', 1, ['batch', 16_000]), /is float32 \[batch, 16000\]/],
    ['takes two channels', 'unsupported-input', shapes('input', 1, ['N', 2, 28, 28]), /is float32 \[N, 2, 28, 28\]/],
    [
      'takes pixels of 64 bits',
      'unsupported-input',
      shapes('input', 7, ['N', 3, 32, 32]),
      /is int64 \[N, 3, 32, 32\]; take a model of photos/,
    ],
    [
      'gives masks',
      'not-loadable',
      shapes('output', 1, ['N', 150, 'h', 'w']),
      /gives no classes: its output "[^"]+" is float32 \[N, 150, h, w\]/,
    ],
    ['gives boxes', 'not-loadable', shapes('output', 1, ['N', 100, 92]), /gives no classes.* \[N, 100, 92\]/],
  ])('that %s is refused by that, with classes that are named and without', async (_, code, change, message) => {
    const path = model({}, change);
    for (const labels of [undefined, names(CLASSES)]) {
      const error = await ImageClassifier.open(path, 1, { labels }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'UserError', code });
      expect(String(error)).toMatch(message);
    }
  });

  it.each<[string, string, () => string, RegExp]>([
    ['has no labels', 'no-metadata', () => model({ preprocessing: good }), /says nothing of its labels/],
    [
      'names more classes than it has scores',
      'bad-labels',
      () => model({ labels: names(CLASSES + 1), preprocessing: good }),
      /they name 21 classes, and it gives scores for 20/,
    ],
    [
      'has a class twice',
      'bad-labels',
      () => model({ labels: [...names(CLASSES - 1), 'class 0'], preprocessing: good }),
      /two classes are called "class 0"/,
    ],
    [
      'asks for images that would fill the memory',
      'bad-preprocessing',
      () => model({ labels: names(CLASSES), preprocessing: { ...good, width: 1e6 } }),
      /wrong at width/,
    ],
    [
      'asks for images that it does not take',
      'bad-preprocessing',
      () => model({ labels: names(CLASSES), preprocessing: { ...good, height: 64 } }),
      /it makes images of 64×32 pixels, and the model takes 32×32/,
    ],
    [
      'divides by zero',
      'bad-preprocessing',
      () => model({ labels: names(CLASSES), preprocessing: { ...good, std: [1, 0, 1] } }),
      /wrong at std.1/,
    ],
    [
      'takes a million images at once',
      'not-loadable',
      () => model({ labels: names(CLASSES), preprocessing: good }, batchOf(1e6)),
      /takes 1000000 images of 32×32 pixels at once/,
    ],
  ])('that %s is refused by its own name', async (_, code, make, reason) => {
    const path = make();
    const opened = ImageClassifier.open(path);
    await expect(opened).rejects.toMatchObject({ code });
    await expect(opened).rejects.toThrow(path);
    await expect(opened).rejects.toThrow(reason);
  });
});

describe('a source model, which nothing has trained', () => {
  const labels = names(5);
  const image = images([2, 3, SIDE, SIDE]);
  const known = { labels, preprocessing: 'none' };

  async function scoresOf(proto: ModelProto): Promise<{ scores: number[]; warnings: readonly string[] }> {
    const path = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'odd.onnx');
    writeFileSync(path, encodeModel(proto));
    const classifier = await ImageClassifier.open(path, 1, known);
    const pixels = Uint8Array.from({ length: 2 * SIDE * SIDE * 3 }, (_, at) => pixelAt(at));
    const scores = [...(await classifier.run(pixels, 2))];
    await classifier.close();
    return { scores, warnings: classifier.stated.warnings };
  }

  /** The sound model's scores, by a plain session. */
  const right = () => run(soundModel(), { image: new ort.Tensor('float32', planes(), image.dims) });
  const pixelAt = (at: number) => (at * 7919) % 256;
  const planes = () =>
    Float32Array.from({ length: 2 * 3 * SIDE * SIDE }, (_, at) => {
      const area = SIDE * SIDE;
      const [photo, channel, place] = [Math.floor(at / (3 * area)), Math.floor(at / area) % 3, at % area];
      return pixelAt((photo * area + place) * 3 + channel);
    });

  it('gives a row of scores of a map of one place', async () => {
    const odd = changed(soundModel(), (graph) => {
      graph.initializer.push(protoOfTensor('axes', intTensor([2], [2, 3])));
      named(graph, 'fc').output = ['row'];
      graph.node.push(node('Unsqueeze', ['row', 'axes'], ['logits']));
      graph.output = [protoOfValue(new Value('logits', 'float32', [{ batch: 1 }, 5, 1, 1]), 'logits')];
    });
    const { scores } = await scoresOf(odd);
    const expected = await right();
    expect(largestDifference(scores, expected) / Math.max(...expected.map(Math.abs))).toBeLessThan(1e-5);
  });

  it('runs too where somebody has changed what ort-tl exported', async () => {
    const path = model({ labels: names(CLASSES), preprocessing: good }, (proto) => {
      const { graph } = proto;
      const [output] = graph?.output ?? [];
      if (!graph || !output) throw new Error('the model has no output');
      graph.initializer.push(protoOfTensor('axes', intTensor([2], [2, 3])));
      graph.node.push(node('Unsqueeze', [output.name, 'axes'], ['map']));
      graph.output = [protoOfValue(new Value('map', 'float32', [{ batch: 1 }, CLASSES, 1, 1]), 'map')];
    });
    const pixels = new Uint8Array(32 * 32 * 3).map((_, at) => (at * 37) % 256);
    const own = await ImageClassifier.open(model({ labels: names(CLASSES), preprocessing: good }));
    const changedSince = await ImageClassifier.open(path);
    expect(largestDifference([...(await changedSince.run(pixels, 1))], [...(await own.run(pixels, 1))])).toBeLessThan(
      1e-4,
    );
    await own.close();
    await changedSince.close();
  });

  it('is taken in inference mode where it was exported in training mode, and that is told', async () => {
    const odd = changed(soundModel(), (graph) => {
      const norm = named(graph, 'bn');
      norm.attribute.push(int('training_mode', 1));
      norm.output = [norm.output[0] ?? '', 'mean', 'variance'];
    });
    const { scores, warnings } = await scoresOf(odd);
    const expected = await right();
    expect(largestDifference(scores, expected) / Math.max(...expected.map(Math.abs))).toBeLessThan(1e-5);
    expect(warnings.join()).toMatch(/exported in training mode.*it is taken in inference mode/);
  });

  it('is asked for the output with as many scores as there are labels, among several', async () => {
    const odd = changed(soundModel(), (graph) => {
      const [features = ''] = named(graph, 'fc').input;
      graph.node.push({ ...node('Relu', ['logits'], ['more']), name: 'behind' });
      graph.output.unshift(protoOfValue(new Value(features, 'float32', [{ batch: 1 }, 6]), features));
      graph.output.push(protoOfValue(new Value('more', 'float32', [{ batch: 1 }, 5]), 'more'));
    });
    const { scores } = await scoresOf(odd);
    expect(largestDifference(scores, await right())).toBeLessThan(1e-3);
  });

  it('computes in whole numbers where it is quantized, as its file says', async () => {
    const steps = (graph: Parameters<typeof named>[0]) => {
      graph.initializer.push(
        protoOfTensor('scale', floatTensor([], [64])),
        protoOfTensor('zero', tensor('uint8', [], Uint8Array.of(128))),
      );
      named(graph, 'fc').output = ['exact'];
      graph.node.push(node('QuantizeLinear', ['exact', 'scale', 'zero'], ['whole']));
      graph.node.push(node('DequantizeLinear', ['whole', 'scale', 'zero'], ['logits']));
    };
    const { scores, warnings } = await scoresOf(changed(soundModel(), steps));
    expect(scores.every((score) => score % 64 === 0)).toBe(true);
    expect(warnings).toEqual([]);
  });
});
