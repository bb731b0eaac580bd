import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from '@huggingface/transformers';
import { beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { drawPictures } from '../../src/data/pictures.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { predict } from '../../src/train/predictPhoto.js';
import { SMALL_CNN } from '../models.js';
import { cliHere } from '../cli/cli.js';
import { findPhotos } from '../../src/data/findPhotos.js';

const at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const run = join(at, 'run');
const out = join(at, 'for-transformers');
const resultSchema = z.array(z.object({ label: z.string(), score: z.number() }));
let photos: string[];

beforeAll(async () => {
  const pictures = join(at, 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 8, valPerClass: 2, size: 75, seed: 1 });
  photos = (await findPhotos(join(pictures, 'val'))).photos.map(({ path }) => path);
  const flags = ['--model', SMALL_CNN, '--data', pictures, '--epochs', '2', '--threads', '1', '--out', run];
  expect(await cliHere(['train', ...flags, '--quiet'])).toMatchObject({ status: 0 });
}, 60_000);

const exportTo = (folder: string, ...flags: string[]) =>
  cliHere(['export', run, '--format', 'transformers-js', '--quiet', ...flags, '--out', folder]);

/** Photos whose class is that of ort-tl predict, and the largest difference of a score. */
async function compared(folder: string, dtype?: 'fp16' | 'fp32' | 'int8' | 'q8') {
  const classify = await pipeline('image-classification', folder, dtype === undefined ? {} : { dtype });
  const classifier = await ImageClassifier.open(join(run, 'model.onnx'));
  let same = 0;
  let largest = 0;
  for (const photo of photos) {
    const given = resultSchema.parse(await classify(photo, { top_k: 6 }));
    const expected = await predict(classifier, photo);
    if (given[0]?.label === expected[0]?.label) same++;
    for (const { label, probability } of expected) {
      const score = given.find((each) => each.label === label)?.score ?? NaN;
      largest = Math.max(largest, Math.abs(score - probability));
    }
  }
  await classifier.close();
  await classify.dispose();
  return { same, largest };
}

it('exports what transformers.js loads, in each precision, and what gives the scores of predict', async () => {
  for (const precision of ['int8', 'fp16', 'fp32'])
    expect(await exportTo(out, '--precision', precision)).toMatchObject({ status: 0 });
  for (const name of ['model.onnx', 'model_fp16.onnx', 'model_int8.onnx', 'model_quantized.onnx'])
    expect(existsSync(join(out, 'onnx', name)), name).toBe(true);
  const exact = await compared(out);
  expect(exact.same).toBe(photos.length);
  expect(exact.largest).toBeLessThan(1e-4);
  for (const dtype of ['fp16', 'int8', 'q8'] as const)
    expect((await compared(out, dtype)).same, dtype).toBeGreaterThanOrEqual(photos.length - 2);
  const card = readFileSync(join(out, 'README.md'), 'utf8');
  expect(card).toContain('library_name: transformers.js');
  expect(card).toContain("pipeline('image-classification'");
}, 60_000);

it('takes one photo at a time where the model resizes, and many where the library does', async () => {
  const classify = await pipeline('image-classification', out);
  await expect(classify(photos.slice(0, 2))).rejects.toThrow();
  await classify.dispose();
  const folder = join(at, 'apart');
  expect(await exportTo(folder, '--preprocessing', 'apart')).toMatchObject({ status: 0 });
  const { same } = await compared(folder);
  expect(same).toBeGreaterThanOrEqual(photos.length - 3);
  const many = await pipeline('image-classification', folder);
  expect(await many(photos.slice(0, 2))).toHaveLength(2);
  await many.dispose();
}, 60_000);

it('refuses what would be wrong: other settings beside a model, files of another origin, flags without a meaning', async () => {
  const told = async (folder: string, ...flags: string[]) => {
    const { status, stderr } = await exportTo(folder, ...flags);
    expect(status).toBe(2);
    return stderr;
  };
  expect(await told(out, '--preprocessing', 'apart', '--precision', 'fp16')).toMatch(
    /holds a model in fp32 and int8 of another run/,
  );
  // Before any photo is looked for.
  expect(await told(out, '--preprocessing', 'apart', '--precision', 'int8', '--data', join(at, 'nowhere'))).toMatch(
    /of another run/,
  );
  const other = mkdtempSync(join(at, 'other-'));
  writeFileSync(join(other, 'config.json'), '{}');
  expect(await told(other)).toMatch(/holds config\.json, which the export would replace/);
  rmSync(other, { recursive: true });
  expect(await told(other, '--softmax')).toMatch(/leave out --softmax/);
  expect(await told(other, '--batch', '4')).toMatch(/one at a time/);
  expect(existsSync(other)).toBe(false);
});
