import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { drawPictures } from '../../src/data/pictures.js';
import { readModel } from '../../src/onnx/model.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { NO_MOUNT, smallDisk } from '../mounts.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';
import { cli, cliHere, expectRefusal, folder } from './cli.js';

const TRAINED = fileURLToPath(new URL('../fixtures/vendor/tiny_resnet.checkpoint', import.meta.url));

/** A grey picture of one pixel. */
const GREY = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==';

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

const JSON_PARITY = z.object({
  out: z.string().nullable(),
  precision: z.string(),
  photos: z.number(),
  agreement: z.number(),
  bytes: z.object({ exported: z.number() }),
  latencyMs: z.object({ exported: z.number() }),
});

it('exports models that agree with the trained one, tells how they compare, and predicts with them', async () => {
  const photo = join(at, 'pictures', 'val', 'boat', readdirSync(join(at, 'pictures', 'val', 'boat'))[0] ?? '');
  const predicted = async (model: string) =>
    z
      .array(z.object({ classes: z.array(z.object({ label: z.string(), probability: z.number() })) }))
      .parse(JSON.parse((await cliHere(['predict', '--model', model, photo, '--json'])).stdout))[0]?.classes[0];
  const trained = await predicted(join(run, 'model.onnx'));
  for (const flags of [
    ['--precision', 'fp32'],
    ['--precision', 'fp16', '--softmax'],
    ['--precision', 'int8', '--batch', '4', '--calibration-photos', '20', '--keep-float', 'last'],
    ['--preprocessing', 'baked', '--softmax', '--min-agreement', '90'],
  ]) {
    const out = join(at, 'some.onnx');
    const ran = await cliHere(['export', run, ...flags, '--out', out, '--json']);
    expect(ran, flags.join(' ')).toMatchObject({ status: 0, stderr: '' });
    const told = JSON_PARITY.parse(JSON.parse(ran.stdout));
    expect(told).toMatchObject({ out, photos: 18, bytes: { exported: readFileSync(out).byteLength } });
    expect(told.agreement, flags.join(' ')).toBeGreaterThan(0.85);
    const now = await predicted(out);
    expect(now?.label).toBe(trained?.label);
    expect(now?.probability).toBeCloseTo(trained?.probability ?? NaN, 1);
  }
  const lines = cli(['export', run, '--format', 'ort', '--out', join(at, 'some.ort')])
    .stdout.trim()
    .split('\n');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/some\.ort: .* MB \(trained: .*\); agrees on 100\.0 % of 18 photos, .* ms a run/);
});

it('writes nothing and exits with 1 where the exported model agrees too seldom', async () => {
  const out = join(at, 'gated.onnx');
  // The ranges of one grey picture fit no other.
  const grey = join(at, 'grey');
  mkdirSync(grey);
  writeFileSync(join(grey, 'grey.png'), Buffer.from(GREY, 'base64'));
  const flags = ['--precision', 'int8', '--calibration-data', grey, '--min-agreement', '100', '--out', out];
  const { status, stderr, stdout } = cli(['export', run, ...flags]);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(
    /agrees with the trained one on .* of 18 photos, and 100 % were asked for .*nothing is written/,
  );
  expect(stdout).toBe('');
  expect(status).toBe(1);
  const told = await cliHere(['export', run, ...flags, '--json']);
  expect(JSON_PARITY.parse(JSON.parse(told.stdout)).out).toBeNull();
  expect(readdirSync(at).filter((name) => name.startsWith('gated'))).toEqual([]);
});

it('exports a delta that makes the trained model again', async () => {
  const [tuned, delta, again] = [
    join(run, 'model.onnx'),
    ...['tuned.delta', 'again.onnx'].map((name) => join(at, name)),
  ];
  if (!delta || !again) throw new Error('unreachable');
  expect(cli(['export', run, '--delta', '--out', delta])).toMatchObject({ status: 0, stderr: '' });
  const applied = await cliHere(['apply', '--base', base, '--delta', delta, '--out', again, '--json']);
  expect(JSON.parse(applied.stdout)).toMatchObject({ policy: 'F1C1', bytes: readFileSync(tuned).byteLength });
  expect(readFileSync(again).equals(readFileSync(tuned))).toBe(true);
  expect(readFileSync(delta).byteLength).toBeLessThan(readFileSync(tuned).byteLength / 3);
  // Checkpoints and deltas call tensors as the source does.
  const names = readModel(base).proto.graph?.initializer.map(({ name }) => name);
  for (const path of [delta, join(run, 'best', 'checkpoint.safetensors')])
    expect(names).toEqual(expect.arrayContaining([...readSafetensors(path).tensors.keys()]));
});

it('exports from where the model is now, and from no other', async () => {
  const moved = join(at, 'moved.onnx');
  renameSync(base, moved);
  const out = join(at, 'from-moved.onnx');
  expectRefusal(await cliHere(['export', run, '--out', out]), /no model at .*base\.onnx/);
  expect(cli(['export', run, '--model', moved, '--out', out]).status).toBe(0);
  expectRefusal(
    await cliHere(['export', run, '--model', out, '--out', join(at, 'none')]),
    /is not the model that was trained/,
  );
  renameSync(moved, base);
  expect(readdirSync(at)).not.toContain('none');
});

it('refuses what is no run, no format and no delta in one line, and leaves no file', async () => {
  const out = join(at, 'none.onnx');
  const empty = join(at, 'empty');
  mkdirSync(empty);
  expectRefusal(
    await cliHere(['export', empty, '--out', out]),
    /holds no run with a finished epoch: .*; name the folder/,
  );
  expectRefusal(
    await cliHere(['export', run, '--format', 'tflite', '--out', out]),
    /expected one of "onnx", "ort", "web", "transformers-js", got "tflite" \(--format\)/,
  );
  expectRefusal(
    await cliHere(['export', run, '--precision', 'int4', '--out', out]),
    /expected one of "fp32", "fp16", "int8", got "int4" \(--precision\)/,
  );
  const refused = (...flags: string[]) => cliHere(['export', run, ...flags, '--out', out]);
  expectRefusal(
    await refused('--precision', 'int8', '--calibration-data', empty),
    /no photos in .*empty; expected files such as/,
  );
  expectRefusal(
    await refused('--precision', 'int8', '--calibration-data', join(at, 'nowhere')),
    /there is nothing at .*nowhere; name a folder of photos/,
  );
  expectRefusal(
    await refused('--opset', '99'),
    /in operator set 99: this version of ONNX Runtime knows them up to \d+; choose/,
  );
  expectRefusal(
    await refused('--precision', 'int8', '--keep-float', 'middle'),
    /expected first, last or first,last, got `middle`/,
  );
  expectRefusal(
    await refused('--precision', 'int8', '--opset', '11'),
    /expected operator set 13 or later for int8, got `11`/,
  );
  expectRefusal(await refused('--opset', '8'), /expected a whole number from 9 to 99, got `8`/);
  expectRefusal(await refused('--batch', 'some'), /expected dynamic or a whole number from 1 to 4096, got `some`/);
  expectRefusal(await refused('--min-agreement', '101'), /expected percent from 0 to 100/);
  expectRefusal(await refused('--delta', '--precision', 'int8'), /a delta .*leave out --precision/);
  expectRefusal(await refused('--softmax', '--data', join(at, 'nowhere')), /nowhere/);
  expectRefusal(await cliHere(['export', run]), /expected --out/);
  expectRefusal(
    await cliHere(['export', run, '--out', empty]),
    /cannot write .*empty: it is a folder; name a file \(--out\)/,
  );
  expectRefusal(
    await cliHere(['export', run, '--format', 'web', '--out', base]),
    /base\.onnx: it is a file; name a folder/,
  );
  expectRefusal(await cliHere(['export']), /expected <run>, as in: ort-tl export <run>$/m);
  const cut = join(at, 'cut.delta');
  expect(cli(['export', run, '--delta', '--out', cut]).status).toBe(0);
  const whole = readFileSync(cut);
  writeFileSync(cut, whole.subarray(0, whole.byteLength - 1));
  const applied = (delta: string) => cliHere(['apply', '--base', base, '--delta', delta, '--out', out]);
  expectRefusal(await applied(cut), /cut\.delta is no delta, or a damaged one: tensor .* does not fit .*; get it anew/);
  writeFileSync(cut, 'no delta');
  expectRefusal(await applied(cut), /it does not begin as a safetensors file does/);
  expectRefusal(
    await applied(base),
    /base\.onnx is a whole ONNX model, no delta; use it as it is, or name what ort-tl export/,
  );
  expectRefusal(await applied(empty), /empty is no file; name what ort-tl export --delta wrote/);
  expectRefusal(await applied(join(at, 'nowhere')), /no delta at .*nowhere; name what/);
  writeFileSync(cut, whole);
  expectRefusal(
    await cliHere(['apply', '--base', TINY_RESNET, '--delta', cut, '--out', out]),
    /is not the model that was trained/,
  );
  const best = join(run, 'best', 'checkpoint.safetensors');
  expectRefusal(await applied(best), /is no delta that ort-tl applies/);
  expect(readdirSync(at)).not.toContain('none.onnx');
});

it('reads back what on-device training has learned', async () => {
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
    cliHere(['import-checkpoint', checkpoint, '--artifacts', from, '--model', model, '--out', to]);
  expect(await read(TRAINED)).toMatchObject({ status: 0, stderr: '' });
  const weights = readModel(out).proto.graph?.initializer.find(({ name }) => name === 'fc.weight')?.rawData;
  expect(readFileSync(TRAINED).indexOf(weights ?? '')).toBeGreaterThan(0);

  const cut = join(at, 'cut');
  writeFileSync(cut, readFileSync(TRAINED).subarray(0, 9000));
  const none = join(at, 'none.onnx');
  expectRefusal(await read(cut, TINY_RESNET, none), /cut is not a whole checkpoint .*: it is cut off or damaged/);
  expectRefusal(await read(TINY_RESNET, TINY_RESNET, none), /it does not say ODTC/);
  expectRefusal(await read(TRAINED, SMALL_CNN, none), /is not the model that was trained/);
  expectRefusal(await read(TRAINED, base, none, join(run, 'artifacts')), /holds artifacts that ort-tl trains with/);
  expectRefusal(await read(TRAINED, base, none, at), /does not hold whole training artifacts/);
  expectRefusal(
    await cliHere(['compile', '--model', SMALL_CNN, ...flags, '--optimizer', 'lars', '--out', join(at, 'none')]),
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
      ['export', run, '--precision', 'int8', '--preprocessing', 'baked', '--out', out],
      ['export', run, '--format', 'web', '--out', out],
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
