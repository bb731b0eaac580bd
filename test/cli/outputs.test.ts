import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { sha256 } from '../../src/files.js';
import { lockFolder } from '../../src/lock.js';
import { SMALL_CNN } from '../models.js';
import { cli, cliHere, expectRefusal, filesBelow, folder } from './cli.js';

/** Files of a folder and their hashes. */
const contents = (at: string) => Object.fromEntries(filesBelow(at).map((path) => [path, sha256(readFileSync(path))]));
const put = (at: string, ...names: string[]) => {
  for (const name of names) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    writeFileSync(join(at, name), 'mine');
  }
};

let at: string;
let run: string;
let model: string;
beforeAll(async () => {
  at = folder();
  run = join(at, 'run');
  model = join(at, 'net.onnx');
  cpSync(SMALL_CNN, model);
  const pictures = join(at, 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 48, seed: 1 });
  const flags = ['--model', model, '--data', pictures, '--epochs', '1', '--threads', '1', '--out', run];
  expect(cli(['train', ...flags])).toMatchObject({ status: 0 });
});

/** Expects a refusal that leaves everything as it is. */
async function expectNothingLost(message: RegExp, ...args: string[]): Promise<void> {
  const before = contents(at);
  expectRefusal(await cliHere(args), message, args.join(' '));
  expect(contents(at)).toEqual(before);
}

describe('what a command reads, it does not write over', () => {
  it('ort-tl export', async () => {
    const replaced = /is read here, and would be replaced; name another file \(--out\)/;
    await expectNothingLost(replaced, 'export', run, '--out', model);
    for (const name of ['model.onnx', join('best', 'checkpoint.safetensors')])
      await expectNothingLost(replaced, 'export', run, '--out', join(run, name));
    await expectNothingLost(replaced, 'export', run, '--delta', '--out', join(run, 'artifacts', 'manifest.json'));
  });

  it('ort-tl apply and ort-tl compare', async () => {
    const delta = join(at, 'tuned.delta');
    expect(cli(['export', run, '--delta', '--out', delta])).toMatchObject({ status: 0 });
    const replaced = /is read here, and would be replaced; name another file \(--out\)/;
    for (const out of [model, delta])
      await expectNothingLost(replaced, 'apply', '--base', model, '--delta', delta, '--out', out);
    await expectNothingLost(replaced, 'compare', run, run, '--html', join(run, 'summary.json'));
    // Another file is replaced, as its name was given.
    put(at, 'tuned.onnx');
    expect(cli(['apply', '--base', model, '--delta', delta, '--out', join(at, 'tuned.onnx')])).toMatchObject({
      status: 0,
    });
    expect(readFileSync(join(at, 'tuned.onnx')).equals(readFileSync(join(run, 'model.onnx')))).toBe(true);
  });

  it('ort-tl compile and ort-tl train', async () => {
    const out = join(at, 'own');
    mkdirSync(out);
    expect(cli(['compile', '--model', model, '--classes', 'a,b', '--out', out])).toMatchObject({ status: 0 });
    const compiled = join(out, 'eval_model.onnx');
    cpSync(model, compiled);
    await expectNothingLost(
      /eval_model\.onnx is read here, and would be replaced; name another folder/,
      ...['compile', '--model', compiled, '--classes', 'a,b', '--out', out],
    );
    await expectNothingLost(
      /run\/artifacts holds the artifacts of a run; choose another folder/,
      ...['compile', '--model', model, '--classes', 'a,b', '--out', join(run, 'artifacts')],
    );
    await expectNothingLost(
      /run\/model\.onnx is of the run in .*run, which a new run there would replace/,
      ...['train', '--model', join(run, 'model.onnx'), '--data', join(at, 'pictures'), '--out', run, '--overwrite'],
    );
  });
});

describe("what is another's in a folder is not written over", () => {
  it.each([
    ['frozen.onnx', 'ort-tl'],
    ['manifest.json', 'ort-tl'],
    ['README.md', 'onnxruntime-training'],
    ['checkpoint', 'onnxruntime-training'],
  ])('ort-tl compile: %s, for %s', async (name, target) => {
    const out = join(at, 'mine', target, name, 'folder');
    put(out, name);
    await expectNothingLost(
      /holds .*, which an artifact would replace and ort-tl did not write; choose another folder/,
      ...['compile', '--model', model, '--classes', 'a,b', '--target', target, '--out', out],
    );
  });

  it('ort-tl compile: a checkpoint that was trained where it lay', async () => {
    const out = join(at, 'phone');
    const compile = ['compile', '--model', model, '--classes', 'a,b', '--target', 'onnxruntime-training', '--out', out];
    for (let time = 0; time < 2; time++) expect(cli(compile)).toMatchObject({ status: 0 });
    put(out, 'checkpoint');
    await expectNothingLost(/phone holds checkpoint, which an artifact would replace/, ...compile);
  });

  it('ort-tl export --format web', async () => {
    const out = join(at, 'site');
    put(out, 'index.html', 'style.css');
    await expectNothingLost(
      /site holds index\.html, style\.css, which the page/,
      'export',
      run,
      '--format',
      'web',
      '--out',
      out,
    );
    await expectNothingLost(
      /run holds model\.onnx, labels\.txt, which/,
      'export',
      run,
      '--format',
      'web',
      '--out',
      run,
    );
    const page = join(at, 'page');
    for (let time = 0; time < 2; time++)
      expect(cli(['export', run, '--format', 'web', '--verify', '4', '--out', page])).toMatchObject({ status: 0 });
  });

  it('ort-tl demo', async () => {
    const out = join(at, 'demo');
    put(out, join('pictures', 'pictures.json'), join('pictures', 'holiday.jpg'));
    await expectNothingLost(/something other than drawn pictures/, 'demo', '--out', out);
    const other = join(at, 'other');
    put(other, join('F1C0', 'model.onnx'), join('F1C0', 'labels.txt'));
    expectRefusal(cli(['demo', '--out', other]), /F1C0 holds model\.onnx, labels\.txt, which a run would replace/);
    expect(readdirSync(join(other, 'F1C0')).sort()).toEqual(['labels.txt', 'model.onnx']);
    const lock = lockFolder(other, 'doing something');
    expectRefusal(
      cli(['demo', '--out', other]),
      new RegExp(`^ort-tl: process ${process.pid} on .* is doing something in`),
    );
    lock.release();
  });

  it('a command that would write among the photos it reads', async () => {
    const photos = join(at, 'pictures', 'train');
    const beside = /lies in the folder of the photos, .*, and would be taken for a class there; choose another folder/;
    const train = ['train', '--model', model, '--data', photos, '--epochs', '1'];
    for (const out of [photos, join(photos, 'runs', 'first')]) await expectNothingLost(beside, ...train, '--out', out);
    await expectNothingLost(beside, 'export', run, '--data', photos, '--format', 'web', '--out', photos);
    await expectNothingLost(beside, 'compile', '--model', model, '--data', photos, '--out', join(photos, 'artifacts'));
  });

  it('a command that is given a file in place of a folder', async () => {
    for (const args of [
      ['export', join(run, 'model.onnx'), '--out', join(at, 'again.onnx')],
      ['train', '--resume', join(run, 'model.onnx')],
      ['compile', '--model', model, '--classes', 'a,b', '--out', join(run, 'labels.txt')],
    ])
      await expectNothingLost(/holds no run|ENOTDIR/, ...args);
  });

  it('ort-tl cache', () => {
    const cache = join(at, 'cache');
    const train = ['train', '--model', model, '--data', join(at, 'pictures'), '--epochs', '1', '--cache', cache];
    expect(cli([...train, '--out', join(at, 'cached')])).toMatchObject({ status: 0 });
    const [store = ''] = readdirSync(cache);
    put(cache, join('mine', 'some.rows'), join('layout', 'layout.json'), join(store, 'notes.txt'));
    expect(cli(['cache', 'rm', '--all', '--cache', cache]).stdout).toContain('removed 1 of 1');
    expect(filesBelow(cache)).toEqual(
      [join('layout', 'layout.json'), join('mine', 'some.rows'), join(store, 'notes.txt')]
        .map((name) => join(cache, name))
        .sort(),
    );
    expect(existsSync(cache)).toBe(true);
  });
});
