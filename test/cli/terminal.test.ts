import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { showBytes } from '../../src/cli/terminal.js';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { folder, main } from './cli.js';

it.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [49, '49 bytes'],
  [100, '0.1 kB'],
  [2_190_250, '2.2 MB'],
])('shows %d bytes as %s', (bytes, shown) => {
  expect(showBytes(bytes)).toBe(shown);
});

const ESCAPE = '\u001b';
const BOLD = `${ESCAPE}[1m`;
const RED = `${ESCAPE}[31m`;
const YELLOW = `${ESCAPE}[33m`;

let pictures: string;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 40, valPerClass: 5, size: 48, seed: 1 });
});

const environment = (changes: Record<string, string>) => {
  const inherited = Object.entries(process.env).filter(([name]) => !['NO_COLOR', 'FORCE_COLOR'].includes(name));
  return { ...Object.fromEntries(inherited), TERM: 'xterm-256color', ...changes };
};

/** Runs the command line with pipes, as another program does. */
function plainly(args: readonly string[], changes: Record<string, string> = {}) {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd: folder(), env: environment(changes) });
}

/** Runs it in a pseudo-terminal of 70 columns, and gives all that the terminal got to see. */
function onTerminal(context: TestContext, args: readonly string[], changes: Record<string, string> = {}): string {
  // Other systems' script(1) takes other arguments.
  const { error, stdout: version } = spawnSync('script', ['--version'], { encoding: 'utf8' });
  if (error || !version.includes('util-linux'))
    return context.skip('there is no script(1) of util-linux to make a pseudo-terminal');
  const words = [process.execPath, main, ...args].map((word) => `'${word}'`).join(' ');
  const { stdout, status } = spawnSync('script', ['-qec', `stty cols 70; ${words}`, '/dev/null'], {
    encoding: 'utf8',
    cwd: folder(),
    env: environment(changes),
  });
  expect(status).not.toBeNull();
  return stdout;
}

const train = (out: string, ...flags: string[]) => [
  ...['train', '--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C1', '--epochs', '2', '--threads', '2'],
  ...['--bn', 'batch', '--out', out, ...flags],
];

describe('a training', () => {
  it('says what it found and what it will do, how it goes, what came out and where that is', () => {
    const out = join(folder(), 'run');
    const { status, stdout, stderr } = plainly(train(out));
    expect(status).toBe(0);
    const [photos, policy, ...others] = stdout.trimEnd().split('\n');
    expect(photos).toBe('240 photos to train with, 30 to validate, 6 classes: boat, cup, fish, flower, house, tree');
    // The last convolution has 128·128·3·3 + 128 parameters, and the head 148 inputs for 6 classes; its input is 128·8·8 floats.
    expect(policy).toMatch(
      /^policy F1C1: 148,478 parameters train \(27\.2 %\), boundary 32\.8 kB an image; runs on cpu with 2 threads; compiled in \d/,
    );
    expect(others).toEqual([
      expect.stringMatching(/^features: 8\.8 MB for 270 photos and views, (in|of which \d)/),
      expect.stringMatching(/^epoch 1\/2 {2}loss \d/),
      expect.stringMatching(/^epoch 2\/2 {2}loss \d/),
      expect.stringMatching(/^top-1 \d+\.\d % at epoch [12], in \d/),
      `${join(out, 'model.onnx')}: the exported model agrees on 30 of 30 photos`,
    ]);
    expect(stdout + stderr).not.toContain(ESCAPE);
    expect(stdout + stderr).not.toContain('\r');
    expect(stderr).toContain('warning: no trained layer has a BatchNormalization');
  });

  it('prints with --quiet the result alone, and with --json nothing but JSON on standard output', () => {
    const quiet = plainly(train(join(folder(), 'run'), '--quiet'))
      .stdout.trimEnd()
      .split('\n');
    expect(quiet).toEqual([expect.stringMatching(/^top-1 /), expect.stringMatching(/model\.onnx: the exported model/)]);
    const out = join(folder(), 'run');
    const json = plainly(train(out, '--json'));
    expect(JSON.parse(json.stdout)).toEqual(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));
    expect(json.stderr.trimEnd().split('\n')).toEqual([expect.stringMatching(/^warning: /)]);
  });

  it('rewrites one line on a terminal, no wider than that: images, images a second, time left', (context) => {
    const shown = onTerminal(context, train(join(folder(), 'run'), '--random-crop', '0.3', '--flip', '0.5'));
    const rewritten = shown.split(`\r${ESCAPE}[K`).map((part) => part.split(/[\r\n]/)[0] ?? '');
    expect(rewritten).toContainEqual(
      expect.stringMatching(/^reading photos: [\d,]+ of 240 images, [\d.]+ a second, [\d.]+ m?s left$/),
    );
    for (const start of ['epoch 1: ', 'epoch 2: ', 'evaluating: 30 of 30 images', 'verifying: '])
      expect(
        rewritten.some((line) => line.startsWith(start)),
        start,
      ).toBe(true);
    for (const line of rewritten.filter((each) => /^\w[^:]*: \d/.test(each))) expect(line.length).toBeLessThan(70);
    // The last was taken away before the result.
    expect(shown).toContain(`\r${ESCAPE}[K${BOLD}top-1 `);
    expect(shown).toContain(`${YELLOW}warning: `);
  });

  it('takes its progress line away before it says what is wrong', (context) => {
    const spoiled = join(folder(), 'pictures');
    cpSync(pictures, spoiled, { recursive: true });
    const last = join(spoiled, 'val', 'tree');
    for (const name of readdirSync(last)) writeFileSync(join(last, name), 'no picture');
    const flags = ['--model', SMALL_CNN, '--data', spoiled, '--policy', 'F1C0', '--max-bad', '0'];
    const shown = onTerminal(context, ['train', ...flags]);
    expect(shown).toContain('reading photos: ');
    expect(shown).toMatch(/\r\u001b\[K\u001b\[31mort-tl: 1 of 270 photos could not be read/);
  });
});

describe('colours', () => {
  const wrong = ['train', '--epochs', '0'];
  it('show on a terminal, unless NO_COLOR or a dumb terminal asks for none', (context) => {
    expect(onTerminal(context, wrong)).toContain(`${RED}ort-tl: `);
    expect(onTerminal(context, wrong, { NO_COLOR: '1' })).toMatch(/^ort-tl: /);
    expect(onTerminal(context, wrong, { TERM: 'dumb' })).toMatch(/^ort-tl: /);
    // https://no-color.org: an empty value asks for nothing.
    expect(onTerminal(context, wrong, { NO_COLOR: '' })).toContain(RED);
    expect(onTerminal(context, wrong, { FORCE_COLOR: '0' })).toMatch(/^ort-tl: /);
  });

  it('show elsewhere only where FORCE_COLOR asks for them', () => {
    expect(plainly(wrong).stderr).toMatch(/^ort-tl: /);
    expect(plainly(wrong, { FORCE_COLOR: '1' }).stderr).toContain(`${RED}ort-tl: `);
    // As in Node.js itself.
    expect(plainly(wrong, { FORCE_COLOR: '1', NO_COLOR: '1' }).stderr).toContain(RED);
  });

  it('leave progress and JSON as they are', (context) => {
    const out = join(folder(), 'run');
    const { stdout, stderr } = plainly(train(out, '--json'), { FORCE_COLOR: '1' });
    expect(stdout).not.toContain(ESCAPE);
    expect(stderr).not.toContain('\r');
    const shown = onTerminal(context, ['eval', '--model', join(out, 'model.onnx'), '--data', pictures, '--json']);
    expect(JSON.parse(shown)).toMatchObject({ photos: 30 });
    const dumb = onTerminal(context, train(join(folder(), 'run')), { TERM: 'dumb' });
    expect(dumb).not.toContain(ESCAPE);
  });
});

describe('the other verbs', () => {
  it('print results on standard output, plainly, and stop quietly when nobody reads them any more', () => {
    const out = join(folder(), 'run');
    plainly(train(out));
    const model = ['--model', join(out, 'model.onnx')];
    for (const args of [
      ['eval', ...model, '--data', pictures],
      ['eval', ...model, '--data', pictures, '--quiet'],
      ['predict', ...model, join(pictures, 'val')],
      ['inspect', SMALL_CNN],
      ['doctor'],
    ]) {
      const { status, stdout, stderr } = plainly(args);
      expect(status, args[0]).toBe(0);
      expect(stdout, args[0]).not.toBe('');
      expect(stdout + stderr, args[0]).not.toContain(ESCAPE);
      expect(stderr, args[0]).toBe('');
    }
    if (process.platform === 'win32') return;
    const command = `"${process.execPath}" "${main}" predict ${model.join(' ')} "${pictures}"; echo "code $?" >&2`;
    const { stdout, stderr } = spawnSync('sh', ['-c', `(${command}) | head -n 1`], { encoding: 'utf8' });
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toBe('code 141\n');
  });
});
