import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { readModel } from '../../src/onnx/model.js';
import { floats, floatTensor } from '../../src/onnx/tensor.js';
import { optimizerCalled, optimizerNames, usualLearningRate } from '../../src/optim/optimizer.js';
import { Random } from '../../src/random.js';
import { Stepper, type StepperOptions, type StepPlan } from '../../src/runtime/stepper.js';
import { SMALL_CNN } from '../models.js';
import { storePhotos } from '../storePhotos.js';

const model = readModel(SMALL_CNN);
const CLASSES = 3;
const PHOTOS = 24;
const BATCH = 8;
const STEPS = 24;
const imageBytes = 32 * 32 * 3;
const labels = Array.from({ length: PHOTOS }, (_, photo) => (photo * photo + 1) % CLASSES);
const random = new Random(7);
const pixels = Uint8Array.from({ length: PHOTOS * imageBytes }, (_, at) =>
  Math.min(255, Math.floor(random.next() * 128) + 40 * (labels[Math.floor(at / imageBytes)] ?? 0)),
);
const all = Int32Array.from(labels.keys());

type Way = Pick<StepperOptions, 'way' | 'provider'>;

async function open(options: Partial<CompileOptions>, way: Way): Promise<Stepper> {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const preprocessing = ([height, width]: readonly [number, number]) =>
    ({ height, width, resize: 'crop', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] }) satisfies Preprocessing;
  const classes = Array.from({ length: CLASSES }, (_, index) => String(index));
  const compiled = compile(model, { policy: 'F1C1', classes, batch: BATCH, ...options, preprocessing });
  await writeArtifacts(compiled, folder);
  const stepper = await Stepper.create(loadArtifacts(folder), { slots: PHOTOS, threads: 1, ...way });
  await storePhotos(stepper, folder, { slots: all, labels, pixels });
  return stepper;
}

/** So many steps, 8 a call; each third takes five photos. */
function plansOf(peak: number, steps = STEPS): StepPlan[] {
  const perCall = 8;
  return Array.from({ length: Math.ceil(steps / perCall) }, (_, call) => ({
    slots: Int32Array.from({ length: perCall * BATCH }, (_, n) => (n % 24 < 21 ? (5 * (n % 24) + call) % PHOTOS : -1)),
    learningRates: Float32Array.from({ length: perCall }, (_, n) => peak * (call === 0 ? (n + 1) / perCall : 1)),
    firstStep: 1 + call * perCall,
  }));
}

/** What comes of the plans. */
async function after(options: Partial<CompileOptions>, way: Way, plans: readonly StepPlan[]) {
  const stepper = await open(options, way);
  const losses: number[] = [];
  let [correct, images] = [0, 0];
  for (const each of plans) {
    const result = await stepper.steps(each);
    losses.push(...result.losses);
    [correct, images] = [correct + result.correct, images + result.images];
  }
  const { logits } = await stepper.evaluate(all);
  const state = new Map([...(await stepper.getState())].map(([name, value]) => [name, floats(value)]));
  await stepper.close();
  return { losses: Float32Array.from(losses), correct, images, logits, state };
}

/** The length of the difference, as a share of the first's. */
function distance(a: Float32Array, b: Float32Array | undefined): number {
  expect(b).toHaveLength(a.length);
  let [difference, length] = [0, 0];
  a.forEach((value, at) => {
    difference += (value - (b?.[at] ?? NaN)) ** 2;
    length += value ** 2;
  });
  return difference === 0 ? 0 : Math.sqrt(difference / length);
}

/** Less than it is only what has the same bits. */
const THE_SAME = Number.MIN_VALUE;

type Outcome = Awaited<ReturnType<typeof after>>;

function expectClose(got: Outcome, wanted: Outcome, tolerance: number): void {
  expect(got.images).toBe(wanted.images);
  expect(Math.abs(got.correct - wanted.correct)).toBeLessThan(2);
  expect(distance(wanted.losses, got.losses)).toBeLessThan(tolerance);
  expect(distance(wanted.logits, got.logits)).toBeLessThan(tolerance);
  expect([...got.state.keys()]).toEqual([...wanted.state.keys()]);
  for (const [name, values] of wanted.state)
    expect(distance(values, got.state.get(name)), name).toBeLessThan(tolerance);
}

const CASES: readonly (readonly [string, Partial<CompileOptions>, number])[] = [
  ...optimizerNames.map((name) => [name, { optimizer: optimizerCalled(name) }, usualLearningRate(name)] as const),
  [
    'clipping, averages and multipliers',
    { clipNorm: 0.3, averageDecay: 0.9, learningRateMultipliers: [{ glob: 'head', multiplier: 3 }] },
    1e-3,
  ],
  ['a batch in parts', { microBatch: 3, averageDecay: 0.9 }, 1e-3],
  ['statistics of the batch', { policy: 'full', batchNorm: 'batch' }, 1e-3],
  ['mixed precision', { precision: 'mixed', clipNorm: 0.3, optimizer: optimizerCalled('sgd') }, 1e-3],
  ['mixed precision, a batch in parts', { precision: 'mixed', microBatch: 3 }, 1e-3],
  ['soft targets and dropout', { targets: 'soft', dropout: 0.2 }, 1e-3],
  ['pixels', { policy: 'full' }, 1e-3],
  ['features in float16', { boundaryDtype: 'float16' }, 1e-3],
];

describe('steps with the update in their graph', () => {
  it.each(CASES)('learn what kernels do, alone or several in a run: %s', async (_, options, peak) => {
    // Where rounding differs by a bit, that grows with the steps, and fast in float16; updateNodes.test.ts holds the update alone to 1e-6.
    const isMixed = options.precision === 'mixed';
    const plans = plansOf(peak).slice(0, isMixed ? 1 : undefined);
    const kernels = await after(options, {}, plans);
    const single = await after(options, { way: 'fed-back' }, plans);
    const loop = await after(options, { way: 'loop' }, plans);
    expectClose(single, kernels, isMixed ? 1e-4 : 1e-5);
    expectClose(loop, single, THE_SAME);
  });

  it.each(['fed-back', 'loop'] as const)('go on from a state to the bits of an unbroken training: %s', async (way) => {
    const options = { microBatch: 3, averageDecay: 0.9, clipNorm: 0.3 };
    const [first, ...rest] = plansOf(1e-3);
    if (!first) throw new Error('unreachable');
    const unbroken = await after(options, { way }, [first, ...rest]);
    const before = await open(options, { way });
    await before.steps(first);
    const state = await before.getState();
    await before.close();
    const stepper = await open(options, { way });
    stepper.setState(state);
    for (const each of rest) await stepper.steps(each);
    for (const [name, value] of await stepper.getState()) expect(floats(value), name).toEqual(unbroken.state.get(name));
    await stepper.close();
  });

  it.each(['fed-back', 'loop'] as const)('end after a loss that is no number: %s', async (way) => {
    const stepper = await open({ optimizer: optimizerCalled('sgd') }, { way });
    const [plan] = plansOf(1e-3);
    if (!plan) throw new Error('unreachable');
    // So that the loop takes them all in one run.
    await stepper.steps(plan);
    const learningRates = Float32Array.from(plan.learningRates, (rate, n) => (n === 2 ? Infinity : rate));
    const { losses } = await stepper.steps({ ...plan, learningRates });
    expect([...losses].map(Number.isFinite)).toEqual([true, true, true, false]);
    await stepper.close();
  });

  it.each(['fed-back', 'loop'] as const)(
    'take no step whose gradients overflow, and halve the scale: %s',
    async (way) => {
      const stepper = await open({ precision: 'mixed', microBatch: 3 }, { way });
      stepper.setState(new Map([['loss_scale', floatTensor([], [2 ** 100])]]));
      const before = await stepper.getState();
      const [plan] = plansOf(1e-3);
      if (!plan) throw new Error('unreachable');
      await stepper.steps({ ...plan, limitMs: 0 });
      const now = await stepper.getState();
      for (const [name, value] of before)
        expect(now.get(name), name).toEqual(name === 'loss_scale' ? floatTensor([], [2 ** 99]) : value);
      await stepper.close();
    },
  );

  it('take one step where time is up, and end when they are stopped', async () => {
    const stepper = await open({}, { way: 'loop' });
    const [plan] = plansOf(1e-3);
    if (!plan) throw new Error('unreachable');
    await stepper.steps(plan);
    expect((await stepper.steps({ ...plan, limitMs: 0 })).losses).toHaveLength(1);
    expect((await stepper.steps(plan, () => true)).losses).toHaveLength(0);
    await stepper.close();
  });
});
