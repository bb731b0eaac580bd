import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/artifacts/compile.js';
import { METADATA } from '../../src/artifacts/manifest.js';
import { tunedModel } from '../../src/artifacts/tunedModel.js';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { readModel, setMetadata, writeModel } from '../../src/onnx/model.js';
import { readSafetensors, writeSafetensors } from '../../src/onnx/safetensors.js';
import { elementCount, floatTensor, type Tensor, toNumbers } from '../../src/onnx/tensor.js';
import { Trainer } from '../../src/train/trainer.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';
import { SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const FEATURES = 4;

/** A classifier with a head of known numbers: weight and bias of class `c` are `10 * c + feature` and `100 + c`. */
async function tuned(head: 'Gemm' | 'MatMul', labels: readonly string[]): Promise<string> {
  const g = new Builder(18);
  const image = g.input('image', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const filters = floatTensor([FEATURES, 3, 3, 3], new Float32Array(elementCount([FEATURES, 3, 3, 3])));
  const pooled = g.reduceMean(g.conv(image, g.constant('filters', filters)), [2, 3], false);
  const count = labels.length;
  const row = (c: number, feature: number) => 10 * c + feature;
  const values =
    head === 'Gemm'
      ? Array.from({ length: count * FEATURES }, (_, at) => row(Math.floor(at / FEATURES), at % FEATURES))
      : Array.from({ length: count * FEATURES }, (_, at) => row(at % count, Math.floor(at / count)));
  const bias = g.constant(
    'bias',
    floatTensor(
      [count],
      Array.from({ length: count }, (_, c) => 100 + c),
    ),
  );
  const logits =
    head === 'Gemm'
      ? g.gemm(pooled, g.constant('head', floatTensor([count, FEATURES], values)), { transB: true, c: bias })
      : g.add(g.matmul(pooled, g.constant('head', floatTensor([FEATURES, count], values))), bias);
  g.output('logits', logits);
  const model = modelOfGraph(g.graph, 'tuned');
  setMetadata(
    model,
    new Map([
      [METADATA.labels, JSON.stringify(labels)],
      [METADATA.policy, 'F1C0'],
    ]),
  );
  const path = join(folder(), 'model.onnx');
  await writeModel(model, path);
  return path;
}

/** The first weights and bias of each class of a head that is `state`'s. */
function rows(head: 'Gemm' | 'MatMul', state: ReadonlyMap<string, Tensor>): { weights: number[]; bias: number }[] {
  const [weight, bias] = ['head', 'bias'].map((name) => toNumbers(state.get(name) ?? floatTensor([0], [])));
  const count = bias?.length ?? 0;
  return Array.from({ length: count }, (_, c) => ({
    weights: Array.from(
      { length: FEATURES },
      (__, feature) => weight?.[head === 'Gemm' ? c * FEATURES + feature : feature * count + c] ?? NaN,
    ),
    bias: bias?.[c] ?? NaN,
  }));
}

describe.each(['Gemm', 'MatMul'] as const)('a tuned model whose head is a %s', (head) => {
  const model = async () => readModel(await tuned(head, ['cat', 'dog', 'owl']));
  const learned = (c: number) => ({ weights: [0, 1, 2, 3].map((feature) => 10 * c + feature), bias: 100 + c });

  it('goes on with the rows of classes that remain, in any order, and begins new ones afresh', async () => {
    const { state, manifest } = compile(await model(), {
      policy: 'F1C0',
      classes: ['owl', 'emu', 'cat'],
      preprocessing: 'unit',
    });
    const [owl, emu, cat] = rows(head, state);
    expect([owl, cat]).toEqual([learned(2), learned(0)]);
    // Uniform in ±1/√4.
    expect(Math.max(...(emu?.weights ?? []).map(Math.abs))).toBeLessThan(0.5);
    expect(emu?.bias).toBe(0);
    expect(manifest.notes).toContain('goes on from what the head knows of owl, cat; new: emu; no longer there: dog');
  });

  it('begins anew where it is told to, and where hidden layers come before the head', async () => {
    for (const options of [{ warmStart: false }, { hidden: [3] }]) {
      const { state } = compile(await model(), {
        policy: 'F1C0',
        classes: ['cat', 'dog'],
        preprocessing: 'unit',
        ...options,
      });
      expect(toNumbers(state.get('bias') ?? floatTensor([0], []))).toEqual([0, 0]);
    }
  });

  it('is refused where its labels are not those of its head', async () => {
    const source = await model();
    setMetadata(source.proto, new Map([[METADATA.labels, '["cat", "dog"]']]));
    expect(() => compile(source, { policy: 'F1C0', classes: ['cat', 'dog'], preprocessing: 'unit' })).toThrow(
      /names 2 classes and tells 3 apart.*noWarmStart/,
    );
  });
});

it('a pretrained model that names classes of its own begins anew: what they mean is a matter of chance', async () => {
  const source = readModel(await tuned('Gemm', ['crane', 'dog']));
  source.proto.metadataProps = source.proto.metadataProps.filter(({ key }) => key === METADATA.labels);
  const { state, manifest } = compile(source, { policy: 'F1C0', classes: ['crane', 'dog'], preprocessing: 'unit' });
  expect(toNumbers(state.get('bias') ?? floatTensor([0], []))).toEqual([0, 0]);
  expect(manifest.notes).toEqual([]);
});

describe('a training that goes on from another', () => {
  let dataset: Dataset;
  let first: string;
  /** The loss of the first epoch. */
  const train = async (options: Partial<TrainOptions> & { out: string }): Promise<number> => {
    const losses: number[] = [];
    const usual = { model: readModel(SMALL_CNN), dataset, policy: 'F1C1', epochs: 2, batch: 8, threads: 1 };
    await new Trainer({ ...usual, ...options }).run((event) => {
      if (event.type === 'epoch') losses.push(event.result.trainLoss);
    });
    return losses[0] ?? NaN;
  };
  const best = (out: string) => join(out, 'best', 'checkpoint.safetensors');
  beforeAll(async () => {
    const pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 12, valPerClass: 4, size: 48, seed: 5 });
    dataset = await ImageFolder.open(pictures, { seed: 0 });
    first = join(folder(), 'first');
    await train({ out: first });
  });

  it('begins where the first one ended, from its model or from its parameters, and to the same bits each time', async () => {
    const cold = await train({ out: join(folder(), 'cold'), epochs: 1 });
    const model = readModel(join(first, 'model.onnx'));
    const [one, two] = [join(folder(), 'one'), join(folder(), 'two')];
    const warm = await train({ out: one, model, epochs: 1 });
    await train({ out: two, model, epochs: 1 });
    const init = await train({ out: join(folder(), 'init'), init: best(first), epochs: 1 });
    expect(warm).toBeLessThan(0.8 * cold);
    expect(init).toBeCloseTo(warm, 5);
    expect(readModel(join(one, 'model.onnx')).sha256).toBe(readModel(join(two, 'model.onnx')).sha256);
  });

  it('is refused where parameters do not fit, by their names', async () => {
    const file = join(folder(), 'params.safetensors');
    const { tensors } = readSafetensors(best(first));
    const [name = '', value] = [...tensors].at(-1) ?? [];
    const refused: [ReadonlyMap<string, Tensor>, RegExp][] = [
      [new Map([...tensors, ['nobody', floatTensor([1], [0])]]), /"nobody" is none of the parameters that train/],
      [new Map([[name, floatTensor([2], [0, 0])]]), /is float32 \[2\], and float32 \[.*\] trains/],
      [
        new Map([[name, floatTensor(value?.dims ?? [], new Float32Array(value?.data.length ?? 0).fill(NaN))]]),
        /no numbers/,
      ],
    ];
    for (const [given, message] of refused) {
      await writeSafetensors(file, given);
      await expect(train({ out: join(folder(), 'run'), init: file })).rejects.toThrow(message);
    }
    writeFileSync(file, 'nothing of the kind');
    await expect(train({ out: join(folder(), 'run'), init: file })).rejects.toMatchObject({ code: 'bad-checkpoint' });
  });

  it('takes a model for what its own training made of it', () => {
    const { manifest, state } = compile(readModel(SMALL_CNN), { policy: 'F1C0', classes: ['a', 'b'] });
    const again = compile(
      { ...readModel(SMALL_CNN), proto: tunedModel(readModel(SMALL_CNN).proto, { ...manifest }, state) },
      { policy: 'F1C0', classes: ['a', 'b'], seed: 9 },
    );
    for (const { name } of manifest.parameters)
      expect(toNumbers(again.state.get(name) ?? floatTensor([0], []))).toEqual(
        toNumbers(state.get(name) ?? floatTensor([0], [])),
      );
  });
});
