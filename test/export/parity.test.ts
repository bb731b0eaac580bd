import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { refusalOf } from '../../src/cli/export.js';
import { type Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { compareModels, type Parity } from '../../src/export/parity.js';
import { decodeModel, encodeModel, readModel } from '../../src/onnx/model.js';
import { floats, protoOfTensor, tensorOfProto } from '../../src/onnx/tensor.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { Trainer } from '../../src/train/trainer.js';
import { SMALL_CNN } from '../models.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

describe('an exported model', () => {
  let dataset: Dataset;
  let trained: string;
  beforeAll(async () => {
    const pictures = join(folder(), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 4, size: 32, seed: 5 });
    dataset = await ImageFolder.open(pictures, { seed: 0 });
    const model = readModel(SMALL_CNN);
    const options = { model, dataset, out: folder(), policy: 'F1C0', threads: 1, epochs: 1, batch: 8 };
    trained = (await new Trainer(options).run()).model;
  });

  /** The trained model with other weights in its head. */
  async function withHead(change: (weight: number, index: number) => number): Promise<ImageClassifier> {
    const proto = decodeModel(encodeModel(readModel(trained).proto), trained);
    const classes = dataset.classes.length;
    const graph = proto.graph;
    const place =
      graph?.initializer.findLastIndex(({ dims }) => dims.length === 2 && dims.includes(BigInt(classes))) ?? -1;
    const head = graph?.initializer[place];
    if (!graph || !head) throw new Error('the model has no head');
    const tensor = tensorOfProto(head);
    graph.initializer[place] = protoOfTensor(head.name, { ...tensor, data: floats(tensor).map(change) });
    return ImageClassifier.load(proto, encodeModel(proto), { threads: 1, name: 'changed' });
  }

  async function compared(exported: ImageClassifier, tolerance: number | null): Promise<Omit<Parity, 'bytes'>> {
    const before = await ImageClassifier.open(trained, 1);
    try {
      const options = { takesWhole: false, source: 'here', tolerance };
      const comparing = compareModels(before, exported, dataset.val, options);
      let state = await comparing.next();
      while (!state.done) state = await comparing.next();
      return state.value;
    } finally {
      await before.close();
      await exported.close();
    }
  }
  const refusal = (parity: Omit<Parity, 'bytes'>, least?: number) =>
    refusalOf({ ...parity, bytes: { trained: 1, exported: 1 } }, least);

  it('that is the trained one is written', async () => {
    for (const tolerance of [1e-3, null]) {
      const parity = await compared(await withHead((weight) => weight), tolerance);
      expect(parity).toMatchObject({ photos: 24, agreement: 1, largestDifference: 0, ok: true });
      expect(refusal(parity)).toBeUndefined();
    }
  });

  it('in float32 is refused where logits differ, though classes are the same', async () => {
    const parity = await compared(await withHead((weight) => weight * 1.02), 1e-3);
    expect(parity).toMatchObject({ ok: false, tolerance: 1e-3 });
    expect(refusal(parity)).toMatch(/is not the trained one: logits differ by up to/);
    expect(refusal(parity, 0)).toMatch(/is not the trained one/);
    // One that rounds by intention may differ so.
    expect(refusal(await compared(await withHead((weight) => weight * 1.02), null))).toBeUndefined();
  });

  it('in fewer bits is refused where fewer than half of the photos agree, unless so few are asked for', async () => {
    const parity = await compared(await withHead((weight) => -weight), null);
    expect(parity.agreement).toBeLessThan(0.5);
    expect(parity.ok).toBe(false);
    expect(refusal(parity)).toMatch(/agrees with the trained one on .* % of 24 photos, fewer than half/);
    expect(refusal(parity, 0)).toBeUndefined();
    expect(refusal(parity, 0.99)).toMatch(/and 99 % were asked for \(--min-agreement\)/);
  });

  it('that gives no numbers agrees with nothing', async () => {
    const parity = await compared(await withHead(() => NaN), null);
    expect(parity).toMatchObject({ agreement: 0, largestDifference: null, ok: false });
    expect(refusal(parity, 0)).toMatch(/gives no numbers/);
  });
});
