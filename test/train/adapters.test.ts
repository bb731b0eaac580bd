import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { Trainer } from '../../src/train/trainer.js';
import type { TrainOptions } from '../../src/train/trainOptions.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));
const path = fileURLToPath(new URL('../fixtures/transformers/vit-dy18-dynamic.onnx', import.meta.url));

describe('a training of adapters', () => {
  let dataset: Dataset;
  beforeAll(async () => {
    const photos = join(folder(), 'photos');
    await drawPictures(photos, { set: 'demo', trainPerClass: 6, valPerClass: 3, size: 32, seed: 1 });
    dataset = await ImageFolder.open(photos, { seed: 0 });
  });

  const train = async (options: Partial<TrainOptions> = {}) => {
    const out = join(folder(), 'run');
    const usual = { model: readModel(path), dataset, policy: 'lora:2', epochs: 2, batch: 6, threads: 1, out };
    const summary = await new Trainer({ ...usual, preprocessing: 'torchvision', ...options }).run();
    return { out, verified: summary.verified };
  };

  it('ends in a plain model of the source model’s nodes and size, which agrees; the checkpoint has the adapters', async () => {
    const { out, verified } = await train();
    expect(verified.ok).toBe(true);
    expect(verified.agreeing).toBe(verified.photos);
    const [source, tuned] = [readModel(path).proto.graph, readModel(join(out, 'model.onnx')).proto.graph];
    expect(tuned?.node.map(({ opType }) => opType)).toEqual(source?.node.map(({ opType }) => opType));
    // Six classes in place of ten, and their names.
    expect(Math.abs(statSync(join(out, 'model.onnx')).size - statSync(path).size)).toBeLessThan(1000);
    const { tensors } = readSafetensors(join(out, 'best', 'checkpoint.safetensors'));
    const names = [...tensors.keys()].filter((name) => name.endsWith('/lora_A'));
    expect(names).toHaveLength(8);
    for (const name of names) {
      const b = tensors.get(name.replace('lora_A', 'lora_B'));
      expect(b && [...b.data].some((value) => value !== 0)).toBe(true);
    }
  });

  it('goes on from the merged model, with fresh adapters', async () => {
    const first = await train();
    const model = readModel(join(first.out, 'model.onnx'));
    const second = await train({ model, policy: 'lora:2@1', epochs: 1 });
    expect(second.verified.ok).toBe(true);
    const { tensors } = readSafetensors(join(second.out, 'best', 'checkpoint.safetensors'));
    expect([...tensors.keys()].filter((name) => name.includes('lora_'))).toHaveLength(8);
  });
});
