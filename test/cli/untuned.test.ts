import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { writeModel } from '../../src/onnx/model.js';
import { floatTensor } from '../../src/onnx/tensor.js';
import { cliHere, expectRefusal, folder } from './cli.js';

const config = { id2label: { 0: 'red', 1: 'blue' } };
const processor = { size: { height: 8, width: 8 }, image_mean: [0, 0, 0], image_std: [1, 1, 1] };

/** A folder with a network that tells red from blue and says nothing of itself, a red photo, and `files`. */
async function untuned(files: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const g = new Builder(18);
  const x = g.input('x', 'float32', [{ batch: 1 }, 3, 8, 8]);
  const map = g.relu(g.conv(x, g.constant('w', floatTensor([2, 3, 1, 1], [1, 0, 0, 0, 0, 1])), {}));
  const pooled = g.op('Flatten', [g.op('GlobalAveragePool', [map])]);
  g.output('logits', g.gemm(pooled, g.constant('fc', floatTensor([2, 2], [1, 0, 0, 1])), { transB: true }));
  const at = folder();
  mkdirSync(join(at, 'onnx'));
  await writeModel(modelOfGraph(g.graph, 'test'), join(at, 'onnx', 'model.onnx'));
  await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).toFile(join(at, 'some.png'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    writeFileSync(join(at, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return at;
}

const predict = (at: string, ...more: string[]) =>
  cliHere(['predict', '--model', join('onnx', 'model.onnx'), 'some.png', ...more], at);

it('says what to do about a network that does not name its classes', async () => {
  const at = await untuned();
  expectRefusal(await predict(at), /says nothing of its labels .*train it .*--labels\)/);
  const explained = await cliHere(['explain', '--model', join('onnx', 'model.onnx'), 'some.png'], at);
  expectRefusal(explained, /says nothing of its labels/);
});

it('takes names of classes from a file, and tells that the preprocessing is guessed', async () => {
  const at = await untuned({ 'names.txt': 'red\nblue\n', 'twice.txt': 'red\nred\n', 'three.txt': 'a\nb\nc' });
  const { status, stdout, stderr } = await predict(at, '--labels', 'names.txt');
  expect(stdout).toMatch(/^some\.png {2}red /);
  expect(stderr).toMatch(/^warning: nothing says how .*model\.onnx wants its pixels.*--preprocessing\)\n$/);
  expect(status).toBe(0);
  expect((await predict(at, '--labels', 'names.txt', '--preprocessing', 'unit')).stderr).toBe('');
  expectRefusal(await predict(at, '--labels', 'twice.txt'), /two classes are called "red" \(--labels\)/);
  expectRefusal(await predict(at, '--labels', 'three.txt'), /3 classes are named \(--labels\).*gives scores for 2/);
  expectRefusal(await predict(at, '--labels', 'none.txt'), /cannot read none\.txt/);
});

it('takes names and preprocessing from the files of Hugging Face beside it, and tells so', async () => {
  const at = await untuned({ 'config.json': config, 'preprocessor_config.json': processor });
  const { status, stdout, stderr } = await predict(at);
  // Scores 1 and 0: e / (e + 1).
  expect(stdout).toBe('some.png  red 73.1 %\n');
  expect(stderr).toMatch(/^pixels are prepared as preprocessor_config\.json says: mean 0\/0\/0, deviation 1\/1\/1/);
  expect(status).toBe(0);
  expectRefusal(await predict(await untuned({ 'config.json': '{' })), /config\.json, which says .* is wrong: /);
});

it('compiles such a network, and tells where its preprocessing comes from', async () => {
  const compile = (at: string, ...more: string[]) =>
    cliHere(['compile', '--model', 'onnx/model.onnx', '--classes', 'a,b', '--policy', 'F1C0', ...more], at);
  expect((await compile(await untuned())).stderr).toMatch(/^warning: nothing says how/);
  expect((await compile(await untuned(), '--preprocessing', 'mean=0.5,std=0.5')).stderr).toBe('');
  const told = await compile(await untuned({ 'preprocessor_config.json': processor }));
  expect(told.stdout).toContain('pixels are prepared as preprocessor_config.json says');
});
