import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';

const script = (name: string) => fileURLToPath(new URL(`../../bench/peers/${name}`, import.meta.url));

let folder: string;
let pictures: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ort-tl-peers-test-'));
  pictures = join(folder, 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 8, valPerClass: 4, size: 32, seed: 1 });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const measure = (...args: string[]): unknown =>
  JSON.parse(
    execFileSync(process.execPath, [script('ort-tl.js'), ...args, '--model', SMALL_CNN], { encoding: 'utf8' }),
  );
const spread = z.object({ median: z.number().positive(), min: z.number().positive(), max: z.number().positive() });

it('measures a training through the command line', () => {
  const training = z
    .object({
      trainPhotos: z.literal(48),
      valPhotos: z.literal(24),
      epochs: z.array(z.object({ seconds: z.number().positive(), trainLoss: z.number(), top1: z.number() })).length(3),
      trainingS: z.number().positive(),
      processS: z.number().positive(),
      peakRssBytes: z.number().positive(),
    })
    .parse(measure('train', '--data', pictures, '--policy', 'F1C1', '--epochs', '3', '--batch', '16'));
  expect(training.processS).toBeGreaterThan(training.trainingS);
  expect(training.trainingS).toBeGreaterThan(training.epochs.reduce((total, { seconds }) => total + seconds, 0));
});

it('tells where the time of later epochs goes', () => {
  const share = z.number().min(0).max(1);
  const shares = z
    .object({ runtime: share, files: share, waiting: share, javascript: share })
    .parse(measure('profile', '--data', pictures, '--policy', 'full', '--epochs', '4', '--batch', '16'));
  expect(Object.values(shares).reduce((sum, each) => sum + each)).toBeCloseTo(1, 9);
  expect(shares.runtime).toBeGreaterThan(shares.files);
});

it('measures steps with the frozen part inside and without it', () => {
  const steps = z
    .object({ batch: z.literal(8), stepMs: spread, forwardMs: spread, trainedStepMs: spread })
    .safeParse(measure('steps', '--policy', 'full', '--batch', '8', '--steps', '2'));
  expect(steps.error).toBeUndefined();
});

it('measures what ONNX Runtime and the machine do at their best', () => {
  const machine = z
    .object({ multiplyAddsPerSecond: z.number().positive(), inferenceMs: z.object({ 4: spread }) })
    .safeParse(measure('machine', '--batches', '4', '--steps', '1'));
  expect(machine.error).toBeUndefined();
});

it('writes a report that says what was not measured and why, without paths, and does not measure again', () => {
  const out = join(folder, 'peers.md');
  const run = (...more: string[]) => {
    const only = 'train/F1C0/ort-tl,help,steps/F1C1-32/torch/eager';
    const args = ['--quick', '--model', SMALL_CNN, '--data', pictures, '--only', only, '--out', out, ...more];
    execFileSync(process.execPath, [script('run.js'), ...args], { stdio: 'pipe' });
    return readFileSync(join(folder, 'peers.jsonl'), 'utf8').trim().split('\n').length;
  };
  const measured = run();
  const text = readFileSync(out, 'utf8');
  expect(text).toContain('| steps/F1C1-32/torch/eager | no Python with PyTorch (--python-torch) |');
  expect(text).toMatch(/\| `ort-tl --help`, whole process \| at most 150 ms \| [\d.]+ ms \|/);
  expect(text).toMatch(/\| `ort-tl --help`, against `node -e 0` \| at most 1\.60× \| [\d.]+× \|/);
  expect(text).not.toContain(folder);
  // Only what failed is tried again.
  expect(run() - measured).toBe(1);
  // What another kind of machine has measured stands beside it.
  expect(run('--machine', 'another machine', '--only', 'help') - measured).toBeGreaterThan(1);
  const both = readFileSync(out, 'utf8');
  expect(both).toMatch(/\| what \| wanted \| another machine, \d+ cores? \| each round \| short by \|.* cores? \|/);
  expect(both).toContain('## On another machine');
});

it('measures how fast ONNX Runtime infers, by one session and by several', () => {
  const inference = z
    .object({
      imagesPerSecond: z.number().positive(),
      best: z.object({ sessions: z.number(), threads: z.number(), batch: z.number() }),
      ways: z.array(z.object({ sessions: z.number(), imagesPerSecond: z.number().positive() })),
    })
    .parse(measure('inference', '--threads', '2', '--milliseconds', '20'));
  expect(new Set(inference.ways.map(({ sessions }) => sessions))).toEqual(new Set([1, 2]));
  expect(inference.imagesPerSecond).toBe(Math.max(...inference.ways.map(({ imagesPerSecond }) => imagesPerSecond)));
});
