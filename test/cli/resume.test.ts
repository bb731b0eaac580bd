import { copyFileSync, cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { cli, expectRefusal, folder } from './cli.js';

let pictures: string;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 8, valPerClass: 2, size: 48, seed: 5 });
});

const flags = () => [
  ...['--model', SMALL_CNN, '--data', pictures, '--policy', 'F1C0', '--epochs', '2', '--batch', '16', '--threads', '2'],
];
const summaryOf = (out: string) => JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as unknown;

it('goes on with flags that change nothing of what is learned, elsewhere too, and to the end', () => {
  const out = join(folder(), 'run');
  const stopped = cli(['train', ...flags(), '--time-limit', '1ms', '--out', out]);
  expect(stopped.status, stopped.stderr).toBe(0);
  expect(stopped.stdout).toContain('stopped: the time is up');
  expect(stopped.stdout).toMatch(/^top-1 [\d.]+ % after 1 of 3 steps of epoch 1,/m);
  const settings = readFileSync(join(out, 'args.yaml'), 'utf8');

  // The time that it was begun with counts again, for this call.
  const again = cli(['train', '--resume', out, '--no-cache']);
  expect(again.stdout).toContain('goes on with epoch 1, after step 1');
  expect(again.stdout).toMatch(/after 2 of 3 steps of epoch 1,/);

  const elsewhere = folder();
  cpSync(pictures, join(elsewhere, 'pictures'), { recursive: true });
  copyFileSync(SMALL_CNN, join(elsewhere, 'model.onnx'));
  const places = ['--data', join(elsewhere, 'pictures'), '--model', join(elsewhere, 'model.onnx')];
  const other = ['--threads=1', '--time-limit', 'none', '--verify', '5', '--tensorboard', ...places];
  const ended = cli(['train', '--resume', out, ...other]);
  expect(ended.status, ended.stderr).toBe(0);
  expect(ended.stderr).toContain('warning: it goes on elsewhere (threads was 2, and is 1), so its weights may differ');
  expect(ended.stdout).toContain('the exported model agrees on 5 of 5 photos');
  expect(summaryOf(out)).toMatchObject({ epochs: 2, moves: [{ epoch: 1, step: 2 }], verified: { photos: 5 } });
  expect(readFileSync(join(out, 'args.yaml'), 'utf8')).toBe(settings);

  const finished = cli(['train', '--resume', out]);
  expect(finished.status, finished.stderr).toBe(0);
  expect(finished.stdout).toContain('the run has ended by itself, and nothing is left to do');

  const refusals: [string[], RegExp][] = [
    [['--epochs', '4'], /schedule is laid out for; leave out --epochs, or begin a new run with --config .* --epochs …/],
    [['--lr', '0.1'], /leave out --lr/],
    [['--no-nesterov'], /leave out --nesterov/],
    [['--overwrite'], /leave out --overwrite/],
  ];
  for (const [given, message] of refusals) expectRefusal(cli(['train', '--resume', out, ...given]), message);
});

it('begins anew where a run was killed before its first checkpoint was whole', () => {
  const out = join(folder(), 'run');
  cli(['train', ...flags(), '--out', out]);
  const killed = folder();
  for (const name of ['args.yaml', '.ort-tl-run.json']) copyFileSync(join(out, name), join(killed, name));
  // The folder is made before the file is in its place.
  mkdirSync(join(killed, 'last'));
  const resumed = cli(['train', '--resume', killed]);
  expect(resumed.status, resumed.stderr).toBe(0);
  const model = (run: string) => readFileSync(join(run, 'model.onnx'));
  expect(model(killed).equals(model(out))).toBe(true);
});
