import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { beforeAll, expect, it } from 'vitest';
import { browser } from '../chromium.js';
import { drawPictures } from '../../src/data/pictures.js';
import { findPhotos } from '../../src/data/findPhotos.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { predict } from '../../src/train/predictPhoto.js';
import { cliHere } from '../cli/cli.js';
import { SMALL_CNN } from '../models.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/use.md'), 'utf8');
const at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const model = join(at, 'classifier.onnx');
const expected = new Map<string, { label: string; probability: number }>();

/** The program in the page that is fenced as `language`. */
function program(language: string): string {
  const [, text] = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(page) ?? [];
  if (text === undefined) throw new Error(`docs/use.md has no program in ${language}`);
  return text;
}

beforeAll(async () => {
  const pictures = join(at, 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 8, valPerClass: 1, size: 100, seed: 3 });
  const run = join(at, 'run');
  const flags = ['--model', SMALL_CNN, '--data', pictures, '--epochs', '2', '--threads', '1', '--quiet', '--out', run];
  expect(await cliHere(['train', ...flags])).toMatchObject({ status: 0 });
  const exporting = ['export', run, '--preprocessing', 'baked', '--softmax', '--quiet', '--out', model];
  expect(await cliHere(exporting)).toMatchObject({ status: 0 });
  const photos = (await findPhotos(join(pictures, 'val'))).photos.slice(0, 3).map(({ path }) => path);
  const [first = ''] = photos;
  // No square, and turned.
  const turned = join(at, 'turned.jpg');
  await sharp(first)
    .resize(120, 60, { fit: 'fill' })
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 95 })
    .toFile(turned);
  const classifier = await ImageClassifier.open(join(run, 'model.onnx'));
  for (const photo of [...photos, turned]) {
    const [best] = await predict(classifier, photo);
    if (best) expected.set(photo, best);
  }
  await classifier.close();
}, 60_000);

function expectAnswer(said: string, photo: string, tolerance: number): void {
  const [label, score] = said.trim().split(' ');
  const best = expected.get(photo);
  expect(label).toBe(best?.label);
  expect(Math.abs(Number(score) - (best?.probability ?? NaN))).toBeLessThan(tolerance);
}

it('the program for Node.js says what predict says', () => {
  const file = join(at, 'classify.mjs');
  writeFileSync(file, program('js'));
  symlinkSync(join(root, 'node_modules'), join(at, 'node_modules'));
  for (const photo of expected.keys()) {
    const { stdout, stderr } = spawnSync(process.execPath, [file, model, photo], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expectAnswer(stdout, photo, 1e-3);
  }
});

const python = process.env['ORT_TL_PYTHON'] ?? 'python3';
const hasPython = spawnSync(python, ['-c', 'import numpy, onnxruntime, PIL']).status === 0;

it.skipIf(!hasPython)(
  'the program for Python says what predict says (skipped without onnxruntime and Pillow in ORT_TL_PYTHON)',
  () => {
    const file = join(at, 'classify.py');
    writeFileSync(file, program('python'));
    for (const photo of expected.keys()) {
      const { stdout, status } = spawnSync(python, [file, model, photo], { encoding: 'utf8' });
      expect(status).toBe(0);
      expectAnswer(stdout, photo, 1e-2);
    }
  },
);

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

it.skipIf(browser === undefined)(
  'the program for the browser says what predict says (skipped without a Chromium)',
  async () => {
    const served = mkdtempSync(join(at, 'page-'));
    writeFileSync(join(served, 'index.html'), program('html'));
    cpSync(model, join(served, 'classifier.onnx'));
    const runtime = dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/wasm')));
    for (const name of ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'])
      cpSync(join(runtime, name), join(served, 'ort', name));
    const server = createServer(({ url = '/' }, response) => {
      const path = join(served, url === '/' ? 'index.html' : url);
      const isThere = existsSync(path);
      response.writeHead(isThere ? 200 : 404, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
      response.end(isThere ? readFileSync(path) : '');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('unreachable');
    const opened = await chromium.launch({ executablePath: browser ?? '', args: ['--no-sandbox'] });
    try {
      const tab = await opened.newPage();
      await tab.goto(`http://127.0.0.1:${address.port}/`);
      for (const photo of expected.keys()) {
        await tab.locator('p', { hasText: /./ }).waitFor();
        await tab.evaluate(`document.querySelector('p').textContent = ''`);
        await tab.locator('input').setInputFiles(photo);
        await tab.locator('p', { hasText: /\d/ }).waitFor();
        expectAnswer((await tab.locator('p').textContent()) ?? '', photo, 1e-2);
      }
    } finally {
      await opened.close();
      server.close();
    }
  },
  60_000,
);
