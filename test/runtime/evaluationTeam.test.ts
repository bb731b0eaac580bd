import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { type Artifacts, loadArtifacts } from '../../src/artifacts/load.js';
import { sha256 } from '../../src/files.js';
import { readModel } from '../../src/onnx/model.js';
import { optimizers } from '../../src/optim/optimizer.js';
import { evaluationShares, evaluatorBytes } from '../../src/runtime/evaluationShares.js';
import { EvaluationTeam } from '../../src/runtime/evaluationTeam.js';
import { Stepper, type StepperOptions } from '../../src/runtime/stepper.js';
import { Random } from '../../src/random.js';
import { SMALL_CNN } from '../models.js';
import { storePhotos } from '../storePhotos.js';

const model = readModel(SMALL_CNN);
const CLASSES = 3;
const PHOTOS = 23;
const random = new Random(5);
const pixels = Uint8Array.from({ length: PHOTOS * 32 * 32 * 3 }, () => random.integer(256));
const labels = Array.from({ length: PHOTOS }, (_, photo) => photo % CLASSES);
const all = Int32Array.from(labels.keys());

/** Artifacts of which an image is evaluated in runs of two images, by an amount of work that is worth several sessions. */
async function artifactsOf(options: Partial<CompileOptions>): Promise<Artifacts> {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const compiled = compile(model, {
    policy: 'full',
    classes: ['a', 'b', 'c'],
    batch: 8,
    microBatch: 2,
    optimizer: optimizers.sgd,
    ...options,
    preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
  });
  await writeArtifacts(compiled, folder);
  const artifacts = loadArtifacts(folder);
  const cost = { ...artifacts.manifest.cost, forwardMultiplyAdds: 1e9 };
  return { ...artifacts, manifest: { ...artifacts.manifest, cost } };
}

/** A stepper that has stored all photos. */
async function open(artifacts: Artifacts, options: Partial<StepperOptions> = {}): Promise<Stepper> {
  const stepper = await Stepper.create(artifacts, { slots: PHOTOS, threads: 1, ...options });
  const keys = options.cache && labels.map((_, photo) => sha256(Uint8Array.of(photo)));
  await storePhotos(stepper, artifacts.folder, { slots: all, labels, pixels, keys });
  return stepper;
}

/** Two batches. */
const plan = { slots: all.subarray(0, 16), learningRates: Float32Array.of(0.05, 0.05), firstStep: 1 };

/** Logits before steps and after them. */
async function evaluations(artifacts: Artifacts, options: Partial<StepperOptions>): Promise<Float32Array[]> {
  const stepper = await open(artifacts, options);
  try {
    const before = await stepper.evaluate(all);
    await stepper.steps(plan);
    return [before.logits, (await stepper.evaluate(all)).logits, (await stepper.evaluate(all.subarray(0, 3))).logits];
  } finally {
    await stepper.close();
  }
}

/** The largest difference, in parts of the largest number. */
function distance(a: Float32Array, b: Float32Array): number {
  const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? NaN))), 0) / largest;
}

describe('an evaluation that sessions of one thread share', () => {
  it.each<[string, Partial<CompileOptions>]>([
    ['steps in one session', {}],
    ['averages of parameters', { averageDecay: 0.9 }],
    ['steps in two sessions, and averages', { sessions: 2, averageDecay: 0.9 }],
    ['a frozen part', { policy: 'F1C1' }],
    ['features in float16', { policy: 'F1C1', boundaryDtype: 'float16' }],
    ['mixed precision', { precision: 'mixed' }],
    ['statistics that move', { batchNorm: 'batch', microBatch: 8 }],
    ['soft targets', { targets: 'soft', sessions: 4 }],
    ['any number of labels', { task: 'labels', sessions: 2 }],
  ])('gives the same, in whichever order runs end: %s', async (_, options) => {
    const artifacts = await artifactsOf(options);
    const shared = await evaluations(artifacts, { threads: 3 });
    expect(shared[0]).not.toEqual(shared[1]);
    expect(await evaluations(artifacts, { threads: 3 })).toEqual(shared);
    // One session of one thread gives the bits of several; threads of a session add up in another order, and so do the steps between.
    const [before] = await evaluations(artifacts, { threads: 1 });
    expect(before).toEqual(shared[0]);
    const threads = await evaluations(artifacts, { threads: 3, evaluationBytes: 0 });
    for (const [index, logits] of threads.entries())
      expect(distance(logits, shared[index] ?? new Float32Array())).toBeLessThan(1e-6);
  });

  it('ends after the runs under way where it is stopped', async () => {
    const stepper = await open(await artifactsOf({}), { threads: 3 });
    const { logits } = await stepper.evaluate(all);
    let runs = 0;
    const part = (await stepper.evaluate(all, () => runs++ >= 4)).logits;
    const isDone = labels.map((_, photo) => part[photo * CLASSES] !== 0);
    expect(isDone.filter(Boolean)).toHaveLength(8);
    for (const photo of labels.keys())
      if (isDone[photo])
        expect(part.subarray(photo * CLASSES, (photo + 1) * CLASSES)).toEqual(
          logits.subarray(photo * CLASSES, (photo + 1) * CLASSES),
        );
    expect((await stepper.evaluate(all)).logits).toEqual(logits);
    await stepper.close();
  });

  it('tells of rows that somebody has removed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const cache = { folder, decoder: 'none', inMemoryBytes: 0 };
    const stepper = await open(await artifactsOf({}), { threads: 3, cache });
    rmSync(folder, { recursive: true });
    expect((await stepper.evaluate(all)).lost).toEqual([...all]);
    await stepper.close();
  });

  it('fails once nothing is under way, and goes on with the next', async () => {
    const artifacts = await artifactsOf({});
    const team = await EvaluationTeam.open(artifacts, { threads: 2, provider: 'cpu' }, []);
    const state = Object.fromEntries(
      artifacts.manifest.parameters.map(({ name }) => [name, { type: 'float32', dims: [1], data: Float32Array.of(0) }]),
    ) as unknown as Parameters<EvaluationTeam['evaluate']>[0];
    let running = 0;
    const failing = team.evaluate(state, 9, async ({ index }) => {
      running++;
      await new Promise((resolve) => setTimeout(resolve, index === 1 ? 1 : 20));
      running--;
      if (index === 1) throw new Error('the second');
      return [];
    });
    await expect(failing).rejects.toThrow('the second');
    expect(running).toBe(0);
    const taken: number[] = [];
    await team.evaluate(state, 9, ({ index }) => {
      taken.push(index);
      return Promise.resolve([]);
    });
    expect(taken).toEqual([...Array(9).keys()]);
    await team.close();
  });
});

describe('sessions of an evaluation', () => {
  const cost = { forwardMultiplyAdds: 4e8, trainableParameters: 4e6, boundaryBytes: 150_528, trainingMemoryBytes: 8e8 };
  const manifest = { batch: 16, cost: { ...cost, evaluationBytes: 1.4e7 } } as Artifacts['manifest'];
  const asked = { threads: 4, provider: 'cpu', furtherBytes: Infinity } as const;

  it('are as many as cores where an image is much work, and one elsewhere', () => {
    expect(evaluationShares(manifest, asked)).toEqual({ sessions: 4, threads: 1 });
    const head = { ...manifest, cost: { ...manifest.cost, forwardMultiplyAdds: 2e7 } };
    expect(evaluationShares(head, asked)).toEqual({ sessions: 1, threads: 4 });
    expect(evaluationShares(manifest, { ...asked, provider: 'cuda' })).toEqual({ sessions: 1, threads: 4 });
  });

  it('are no more than fit beside the first', () => {
    const each = evaluatorBytes(manifest);
    expect(evaluationShares(manifest, { ...asked, furtherBytes: each })).toEqual({ sessions: 2, threads: 2 });
    expect(evaluationShares(manifest, { ...asked, furtherBytes: 0 })).toEqual({ sessions: 1, threads: 4 });
    // Runs of three images, as 512 KB of the boundary are.
    expect(each).toBe(3.5e7 + 2 * 4 * 4e6 + 3 * 1.4e7);
  });

  it('count what steps take where artifacts do not tell what an evaluation does', () => {
    const { evaluationBytes, ...known } = manifest.cost;
    expect(evaluationBytes).toBe(1.4e7);
    expect(evaluatorBytes({ ...manifest, cost: known })).toBeGreaterThan(3 * 8e8);
  });
});
