import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, expectRefusal, folder } from './cli.js';

let at: string;
const FLAGS = ['--policy', 'F1C0', '--epochs', '3', '--batch', '16', '--threads', '1', '--no-cache'];
beforeAll(async () => {
  at = folder();
  await drawPictures(join(at, 'scenes'), { set: 'scenes', trainPerClass: 12, valPerClass: 5, size: 48, seed: 5 });
  const { status, stderr } = await cliHere(
    ['train', '--model', SMALL_CNN, '--data', 'scenes/labels.csv', '--out', 'run', ...FLAGS],
    at,
  );
  expect([status, stderr]).toEqual([0, '']);
});

const run = (...args: string[]) => cliHere(args, at);
const photo = join('scenes', 'val', '0001.jpg');
const scored = z.array(z.object({ label: z.string(), probability: z.number(), threshold: z.number() }));

describe('several labels on the command line', () => {
  it('are counted by ort-tl data', async () => {
    const { stdout } = await run('data', 'scenes/labels.csv');
    expect(stdout).toMatch(/102 photos with 6 labels: 72 to train with, 30 to validate/);
    expect(stdout).toMatch(/label +train +validate[^]*labels +\d+ with 0, \d+ with 1/);
    const { stdout: json } = await run('data', 'scenes/labels.csv', '--json');
    const { task, together } = z
      .object({ task: z.string(), together: z.object({ photosByLabels: z.record(z.string(), z.number()) }) })
      .parse(JSON.parse(json));
    expect([task, Object.values(together.photosByLabels).reduce((a, b) => a + b)]).toEqual(['labels', 102]);
  });

  it('are told by mAP in a training, whose --json says so', async () => {
    const plain = await run('train', '--model', SMALL_CNN, '--data', 'scenes/labels.csv', '--out', 'other', ...FLAGS);
    expect(plain.stdout).toMatch(/6 labels: boat, cup[^]*epoch 1\/3 .* mAP .* %[^]*mAP .* % at epoch/);
    expect(plain.stdout).not.toMatch(/top-1/);
    expect(existsSync(join(at, 'other', 'confusion.svg'))).toBe(false);
    const { stdout } = await run('compare', 'run', 'other');
    expect(stdout).toMatch(/mAP %/);
    expect(stdout).not.toMatch(/top-1/);
  });

  it('are measured one by one by ort-tl eval, by the thresholds of the model', async () => {
    const { stdout } = await run('eval', '--model', 'run', '--data', 'scenes/labels.csv');
    expect(stdout).toMatch(/^30 photos: mAP .*, macro F1 .*, micro F1 .*, loss/);
    expect(stdout).toMatch(/label +photos +AP +from +precision +recall +F1\nboat +\d+ +\d/);
    const { thresholds } = z
      .object({ thresholds: z.array(z.number()) })
      .parse(JSON.parse(readFileSync(join(at, 'run', 'summary.json'), 'utf8')));
    const { stdout: json } = await run('eval', '--model', 'run', '--data', 'scenes/labels.csv', '--json');
    const { task, classes } = z
      .object({ task: z.string(), classes: z.array(z.object({ threshold: z.number() })) })
      .parse(JSON.parse(json));
    expect([task, classes.map(({ threshold }) => threshold)]).toEqual(['labels', thresholds]);
    expectRefusal(
      await run('eval', '--model', 'run', '--data', 'scenes/labels.csv', '--task', 'classes'),
      /any number of labels/,
    );
  });

  it('are predicted over their thresholds, over one of all, or so many', async () => {
    const { stdout: json } = await run('predict', '--model', 'run', photo, '--json');
    const [{ labels } = { labels: [] }] = z.array(z.object({ labels: scored })).parse(JSON.parse(json));
    for (const { probability, threshold } of labels) expect(probability).toBeGreaterThanOrEqual(threshold);
    expect((await run('predict', '--model', 'run', photo, '--threshold', '0')).stdout.match(/ %/g)).toHaveLength(6);
    expect((await run('predict', '--model', 'run', photo, '--threshold', '1')).stdout).toBe(`${photo}  none\n`);
    expect((await run('predict', '--model', 'run', photo, '--top', '2')).stdout.match(/ %/g)).toHaveLength(2);
    const csv = (await run('predict', '--model', 'run', photo, '--csv')).stdout.split('\n');
    expect(csv[0]).toBe('file,labels,probabilities');
    expect(csv[1]?.split(',')[1]).toBe(labels.map(({ label }) => label).join('|'));
    expectRefusal(await run('predict', '--model', 'run', photo, '--threshold', '2'), /from 0 to 1.*--threshold/);
    expectRefusal(await run('predict', '--model', 'run', photo, '--threshold', '0.5', '--top', '1'), /not both/);
    expectRefusal(
      await run('predict', '--model', SMALL_CNN, photo, '--threshold', '0.5'),
      /leave out --threshold|labels/,
    );
  });

  it('have a heat map each', async () => {
    const { stdout } = await run('explain', '--model', 'run', photo, '--class', 'tree', '--out', 'maps');
    expect(stdout).toMatch(/ {2}tree {2}/);
    expect(existsSync(join(at, 'maps', '0001.explained.png'))).toBe(true);
  });

  it('are exported with and without a Sigmoid, not with a Softmax, and for the web and transformers.js with thresholds', async () => {
    expect((await run('export', 'run', '--sigmoid', '--out', 'sigmoid.onnx')).stdout).toMatch(
      /agrees on 100\.0 % of 30 photos.*mAP/,
    );
    expectRefusal(await run('export', 'run', '--softmax', '--out', 'softmax.onnx'), /--softmax.*--sigmoid/);
    const { stdout } = await run('predict', '--model', 'sigmoid.onnx', photo);
    expect(stdout).toBe((await run('predict', '--model', 'run', photo)).stdout);

    await run('export', 'run', '--format', 'web', '--out', 'page');
    const page = z.object({ thresholds: z.array(z.number()).length(6), endsInSigmoid: z.literal(false) });
    page.parse(JSON.parse(readFileSync(join(at, 'page', 'model.json'), 'utf8')));
    await run('export', 'run', '--format', 'transformers-js', '--out', 'js');
    const config = z.object({
      problem_type: z.literal('multi_label_classification'),
      ort_tl: z.object({ thresholds: z.array(z.number()).length(6) }),
    });
    config.parse(JSON.parse(readFileSync(join(at, 'js', 'config.json'), 'utf8')));
    expect(readFileSync(join(at, 'js', 'README.md'), 'utf8')).toMatch(/logits\.sigmoid\(\)/);
  });

  it('have a policy recommended by mAP', async () => {
    const { stdout, status } = await run(
      ...['recommend', '--model', SMALL_CNN, '--data', 'scenes/labels.csv', '--policies', 'F1C0,F1C1'],
      ...['--epochs', '2', '--effort', '1', '--threads', '1', '--batch', '16'],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/mAP .* % of the held-out photos[^]*predicted mAP %/);
    expect(stdout).not.toMatch(/top-1/);
  });

  it('are compiled from names alone', async () => {
    const { stdout } = await run(
      ...['compile', '--model', SMALL_CNN, '--task', 'labels', '--classes', 'cup,tree', '--out', 'artifacts', '--json'],
      ...['--loss', 'asymmetric'],
    );
    expect(z.looseObject({ task: z.string() }).parse(JSON.parse(stdout))).toMatchObject({
      task: 'labels',
      targets: 'soft',
      binaryLoss: { loss: 'asymmetric', gammaNegative: 4, gammaPositive: 1, probabilityShift: 0.05 },
    });
  });
});
