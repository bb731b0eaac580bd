import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { NO_MOUNT, smallDisk } from '../mounts.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';
import { cli, expectRefusal, folder } from './cli.js';

const TRAINED = fileURLToPath(new URL('../fixtures/vendor/tiny_resnet.checkpoint', import.meta.url));

let at: string;
let run: string;
let base: string;

beforeAll(async () => {
  at = folder();
  [run, base] = [join(at, 'run'), join(at, 'base.onnx')];
  copyFileSync(SMALL_CNN, base);
  const pictures = join(at, 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 6, valPerClass: 3, size: 48, seed: 1 });
  const flags = ['--model', base, '--data', pictures, '--epochs', '1', '--threads', '1', '--out', run];
  expect(cli(['train', ...flags]).status).toBe(0);
});

it('exports what the training itself exported, and a delta that makes it again', () => {
  const [tuned, delta, again] = ['tuned.onnx', 'tuned.delta', 'again.onnx'].map((name) => join(at, name));
  if (!tuned || !delta || !again) throw new Error('unreachable');
  expect(cli(['export', run, '--out', tuned])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(tuned).equals(readFileSync(join(run, 'model.onnx')))).toBe(true);
  expect(cli(['export', run, '--delta', '--out', delta])).toMatchObject({ status: 0, stderr: '' });
  const applied = cli(['apply', '--base', base, '--delta', delta, '--out', again, '--json']);
  expect(JSON.parse(applied.stdout)).toMatchObject({ policy: 'F1C1', bytes: readFileSync(tuned).byteLength });
  expect(readFileSync(again).equals(readFileSync(tuned))).toBe(true);
  expect(readFileSync(delta).byteLength).toBeLessThan(readFileSync(tuned).byteLength / 3);
  // Checkpoints and deltas call tensors as the source does.
  const names = readModel(base).proto.graph?.initializer.map(({ name }) => name);
  for (const path of [delta, join(run, 'best', 'checkpoint.safetensors')])
    expect(names).toEqual(expect.arrayContaining([...readSafetensors(path).tensors.keys()]));
});

it('exports from where the model is now, and from no other', () => {
  const moved = join(at, 'moved.onnx');
  renameSync(base, moved);
  const out = join(at, 'from-moved.onnx');
  expectRefusal(cli(['export', run, '--out', out]), /no model at .*base\.onnx/);
  expect(cli(['export', run, '--model', moved, '--out', out]).status).toBe(0);
  expectRefusal(cli(['export', run, '--model', out, '--out', join(at, 'none')]), /is not the model that was trained/);
  renameSync(moved, base);
  expect(readdirSync(at)).not.toContain('none');
});

it('refuses what is no run, no format and no delta in one line, and leaves no file', () => {
  const out = join(at, 'none.onnx');
  const empty = join(at, 'empty');
  mkdirSync(empty);
  expectRefusal(cli(['export', empty, '--out', out]), /holds no run with a finished epoch: .*; name the folder/);
  expectRefusal(
    cli(['export', run, '--format', 'tflite', '--out', out]),
    /expected one of "onnx", got "tflite" \(--format\)/,
  );
  expectRefusal(cli(['export', run]), /expected --out/);
  expectRefusal(cli(['export']), /expected a model or a run/);
  const cut = join(at, 'cut.delta');
  expect(cli(['export', run, '--delta', '--out', cut]).status).toBe(0);
  const whole = readFileSync(cut);
  writeFileSync(cut, whole.subarray(0, whole.byteLength - 1));
  expectRefusal(cli(['apply', '--base', base, '--delta', cut, '--out', out]), /not a whole safetensors/);
  writeFileSync(cut, whole);
  expectRefusal(
    cli(['apply', '--base', TINY_RESNET, '--delta', cut, '--out', out]),
    /is not the model that was trained/,
  );
  const best = join(run, 'best', 'checkpoint.safetensors');
  expectRefusal(cli(['apply', '--base', base, '--delta', best, '--out', out]), /is no delta that ort-tl applies/);
  expect(readdirSync(at)).not.toContain('none.onnx');
});

it('reads back what on-device training has learned', () => {
  const artifacts = join(at, 'artifacts');
  const flags = ['--policy', 'F1C1', '--classes', 'a,b,c', '--batch', '4', '--target', 'onnxruntime-training'];
  expect(cli(['compile', '--model', TINY_RESNET, ...flags, '--out', artifacts]).status).toBe(0);
  expect(readdirSync(artifacts).sort()).toEqual([
    'README.md',
    'checkpoint',
    'eval_model.onnx',
    'manifest.json',
    'optimizer_model.onnx',
    'training_model.onnx',
  ]);
  const out = join(at, 'imported.onnx');
  const read = (checkpoint: string, model = TINY_RESNET, to = out, from = artifacts) =>
    cli(['import-checkpoint', checkpoint, '--artifacts', from, '--model', model, '--out', to]);
  expect(read(TRAINED)).toMatchObject({ status: 0, stderr: '' });
  const weights = readModel(out).proto.graph?.initializer.find(({ name }) => name === 'fc.weight')?.rawData;
  expect(readFileSync(TRAINED).indexOf(weights ?? '')).toBeGreaterThan(0);

  const cut = join(at, 'cut');
  writeFileSync(cut, readFileSync(TRAINED).subarray(0, 9000));
  const none = join(at, 'none.onnx');
  expectRefusal(read(cut, TINY_RESNET, none), /cut is not a whole checkpoint .*: it is cut off or damaged/);
  expectRefusal(read(TINY_RESNET, TINY_RESNET, none), /it does not say ODTC/);
  expectRefusal(read(TRAINED, SMALL_CNN, none), /is not the model that was trained/);
  expectRefusal(read(TRAINED, base, none, join(run, 'artifacts')), /holds artifacts that ort-tl trains with/);
  expectRefusal(read(TRAINED, base, none, at), /does not hold whole training artifacts/);
  expectRefusal(
    cli(['compile', '--model', SMALL_CNN, ...flags, '--optimizer', 'lars', '--out', join(at, 'none')]),
    /onnxruntime-training has AdamW, and SGD/,
  );
  expect(readdirSync(at).filter((name) => name.startsWith('none'))).toEqual([]);
});

it('leaves nothing on a full disk', (context) => {
  const disk = smallDisk(4096 * 4);
  if (!disk) return context.skip(NO_MOUNT);
  try {
    const delta = join(at, 'for-full.delta');
    expect(cli(['export', run, '--delta', '--out', delta]).status).toBe(0);
    const out = join(disk.folder, 'some', 'file');
    for (const command of [
      ['export', run, '--out', out],
      ['export', run, '--delta', '--out', out],
      ['apply', '--base', base, '--delta', delta, '--out', out],
      ['compile', '--model', base, '--classes', 'a,b', '--target', 'onnxruntime-training', '--out', out],
    ])
      expectRefusal(cli(command), /cannot write .*some\/file.*: ENOSPC.*free some space/, command.join(' '));
    expect(readdirSync(disk.folder)).toEqual([]);
  } finally {
    disk.unmount();
  }
});
