import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import type { CompileOptions } from '../../src/artifacts/compileOptions.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { sha256 } from '../../src/files.js';
import { readModel } from '../../src/onnx/model.js';
import { floats, floatTensor } from '../../src/onnx/tensor.js';
import { optimizers } from '../../src/optim/optimizer.js';
import type { CacheOptions } from '../../src/runtime/frozenFeatures.js';
import { type StepPlan, Stepper } from '../../src/runtime/stepper.js';
import { Random } from '../../src/random.js';
import { EFFICIENTNET_B0, SMALL_CNN, TINY_MBCONV } from '../models.js';
import { type StoredPhotos, storePhotos } from '../storePhotos.js';

const model = readModel(SMALL_CNN);
const CLASSES = 3;
const PHOTOS = 24;
const imageBytes = 32 * 32 * 3;
const labels = Array.from({ length: PHOTOS }, (_, photo) => (photo * photo + 1) % CLASSES);
const random = new Random(7);
const pixels = Uint8Array.from({ length: PHOTOS * imageBytes }, (_, at) =>
  Math.min(255, Math.floor(random.next() * 128) + 40 * (labels[Math.floor(at / imageBytes)] ?? 0)),
);

const keyOf = (photo: number) => sha256(Uint8Array.of(photo));

/** Files at any depth. */
const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(relative(folder, entry.parentPath), entry.name));

/** Where the artifacts of steppers are. */
const folders = new Map<Stepper, string>();

const store = (stepper: Stepper, photos: StoredPhotos) => storePhotos(stepper, folders.get(stepper) ?? '', photos);

/** A stepper on the small CNN that has stored all photos. */
async function open(options: Partial<CompileOptions>, cache?: CacheOptions): Promise<Stepper> {
  const stepper = await create(options, cache);
  const keys = cache && labels.map((_, photo) => keyOf(photo));
  await store(stepper, { slots: Int32Array.from(labels.keys()), labels, pixels, keys });
  return stepper;
}

/** A stepper on the small CNN. */
async function create(options: Partial<CompileOptions>, cache?: CacheOptions): Promise<Stepper> {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const compiled = compile(model, {
    policy: 'F1C1',
    classes: Array.from({ length: CLASSES }, (_, index) => String(index)),
    batch: 8,
    ...options,
    preprocessing: ([height, width]) => ({
      height,
      width,
      resize: 'crop',
      mean: [0.5, 0.5, 0.5],
      std: [0.25, 0.25, 0.25],
    }),
  });
  await writeArtifacts(compiled, folder);
  const stepper = await Stepper.create(loadArtifacts(folder), {
    slots: PHOTOS,
    threads: 1,
    ...(cache ? { cache } : {}),
  });
  folders.set(stepper, folder);
  return stepper;
}

/** Three batches of eight; the last has five photos. */
const slots = Int32Array.from({ length: 24 }, (_, slot) => (slot < 21 ? slot : -1));
const plan: StepPlan = { slots, learningRates: Float32Array.of(0.01, 0.02, 0.005), firstStep: 1 };

/** Losses, logits of all photos and state after `plan`. */
async function after(options: Partial<CompileOptions>, plans: readonly StepPlan[] = [plan], cache?: CacheOptions) {
  const stepper = await open(options, cache);
  const losses: number[] = [];
  let correct = 0;
  let images = 0;
  for (const each of plans) {
    const result = await stepper.steps(each);
    losses.push(...result.losses);
    correct += result.correct;
    images += result.images;
  }
  const { logits } = await stepper.evaluate(Int32Array.from({ length: PHOTOS }, (_, slot) => slot));
  const state = await floatsOf(stepper);
  await stepper.close();
  return { losses, correct, images, logits: [...logits], state };
}

const floatsOf = async (stepper: Stepper) =>
  new Map([...(await stepper.getState())].map(([name, value]) => [name, floats(value)]));

/** A hash of each tensor: to compare millions of numbers one by one takes seconds. */
const bitsOf = (state: ReadonlyMap<string, Float32Array>) =>
  new Map(
    [...state].map(([name, values]) => [
      name,
      sha256(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
    ]),
  );

/** The numbers of one tensor of a stepper's state. */
async function numbers(stepper: Stepper, name: string): Promise<number[]> {
  const value = (await stepper.getState()).get(name);
  if (!value) throw new Error(`no ${name}`);
  return [...floats(value)];
}

/** The largest difference, in parts of the largest number. */
function distance(a: Iterable<number>, b: Iterable<number>): number {
  const [x, y] = [[...a], [...b]];
  const largest = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = x.reduce((most, value, index) => Math.max(most, Math.abs(value - (y[index] ?? NaN))), 0);
  return difference / largest;
}

describe('gradient accumulation', () => {
  it.each<[string, Partial<CompileOptions>]>([
    // A large epsilon, or Adam makes whole steps of gradients that are nothing but rounding.
    ['adamw', { optimizer: { ...optimizers.adamw, epsilon: 1e-3 } }],
    ['sgd with clipping', { optimizer: optimizers.sgd, clipNorm: 0.3 }],
    ['averages', { averageDecay: 0.9, policy: 'full', optimizer: optimizers.sgd }],
    ['class weights', { optimizer: optimizers.sgd, classWeights: [1, 5, 0.2], labelSmoothing: 0.1 }],
  ])('gives the large batch, the last and partial one included: %s', async (_, options) => {
    const whole = await after(options);
    for (const microBatch of [1, 2, 3, 4]) {
      const parts = await after({ ...options, microBatch });
      expect(distance(whole.losses, parts.losses), `losses of ${microBatch}`).toBeLessThan(1e-5);
      expect(parts).toMatchObject({ correct: whole.correct, images: 21 });
      expect(distance(whole.logits, parts.logits), `logits of ${microBatch}`).toBeLessThan(1e-5);
      expect([...parts.state.keys()]).toEqual([...whole.state.keys()]);
      for (const [name, value] of whole.state) {
        expect(distance(value, parts.state.get(name) ?? []), `${name} of ${microBatch}`).toBeLessThan(1e-5);
      }
    }
  });

  it('needs the memory of the small batch', () => {
    const memory = (microBatch: number) =>
      compile(model, {
        policy: 'full',
        classes: ['a', 'b'],
        batch: 32,
        microBatch,
        preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
      }).manifest.cost.trainingMemoryBytes;
    expect(memory(4)).toBeLessThan(0.6 * memory(32));
  });
});

describe('sessions side by side', () => {
  it.each<[string, Partial<CompileOptions>]>([
    ['adamw', { optimizer: { ...optimizers.adamw, epsilon: 1e-3 } }],
    ['lamb with clipping', { optimizer: { ...optimizers.lamb, epsilon: 1e-3 }, clipNorm: 0.3 }],
    ['averages', { averageDecay: 0.9, policy: 'full', optimizer: optimizers.sgd }],
    ['soft targets', { optimizer: optimizers.rmsprop, targets: 'soft', policy: 'F1C0' }],
  ])('give the large batch, and the same bits each time: %s', async (_, options) => {
    const whole = await after(options);
    // The last batch has five photos: of four sessions one has no part of it.
    for (const [sessions, microBatch] of [
      [2, 4],
      [4, 2],
      [3, 1],
    ] as const) {
      const parts = await after({ ...options, microBatch, sessions });
      const what = `${sessions} sessions of ${microBatch}`;
      expect(distance(whole.losses, parts.losses), `losses of ${what}`).toBeLessThan(1e-5);
      expect(parts, what).toMatchObject({ correct: whole.correct, images: 21 });
      expect(distance(whole.logits, parts.logits), `logits of ${what}`).toBeLessThan(1e-5);
      for (const [name, value] of whole.state)
        expect(distance(value, parts.state.get(name) ?? []), `${name} of ${what}`).toBeLessThan(1e-5);
      if (sessions !== 4) continue;
      const again = await after({ ...options, microBatch, sessions });
      expect(bitsOf(again.state)).toEqual(bitsOf(parts.state));
      expect(again.losses).toEqual(parts.losses);
    }
  });

  it('are refused where the parts are not for several', () => {
    expect(() => compile(model, { policy: 'F1C0', classes: ['a', 'b'], batch: 8, sessions: 2 })).toThrow(
      /more sessions than parts/,
    );
  });
});

describe('activations that are computed again', () => {
  it.each([8, 3])('give the same steps, in runs of %i images', async (microBatch) => {
    const options = { policy: 'full', optimizer: optimizers.sgd, microBatch };
    const kept = await after(options);
    const again = await after({ ...options, recompute: true });
    expect(again.losses).toEqual(kept.losses);
    expect(again.logits).toEqual(kept.logits);
    expect(bitsOf(again.state)).toEqual(bitsOf(kept.state));
  });

  /** The memory with them, as a share of that without. */
  function shareOfMemory(path: string): number {
    const [kept, again] = [false, true].map(
      (recompute) =>
        compile(readModel(path), {
          policy: 'full',
          classes: ['a', 'b'],
          batch: 16,
          recompute,
          preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
        }).manifest,
    );
    expect([kept?.recomputes, again?.recomputes]).toEqual([undefined, true]);
    return (again?.cost.trainingMemoryBytes ?? NaN) / (kept?.cost.trainingMemoryBytes ?? NaN);
  }

  it('need less memory', () => {
    expect(shareOfMemory(TINY_MBCONV)).toBeLessThan(1);
  });

  it.skipIf(!existsSync(EFFICIENTNET_B0))('need much less in EfficientNet-B0 (skipped where it is missing)', () => {
    expect(shareOfMemory(EFFICIENTNET_B0)).toBeLessThan(0.75);
  });
});

describe('averages of the parameters', () => {
  it('follow min(decay, (1 + t)/(10 + t)), and are what is evaluated', async () => {
    const decay = 0.2;
    const steps = [0, 1, 2].map((step) => ({
      slots: slots.subarray(step * 8, (step + 1) * 8),
      learningRates: Float32Array.of(0.05),
      firstStep: step + 1,
    }));
    const name = 'fc2.weight';
    const stepper = await open({ averageDecay: decay, optimizer: optimizers.sgd });
    let average = await numbers(stepper, name);
    for (const [index, step] of steps.entries()) {
      await stepper.steps(step);
      const now = await numbers(stepper, name);
      const t = index + 1;
      const kept = Math.min(decay, (1 + t) / (10 + t));
      average = average.map((value, at) => kept * value + (1 - kept) * (now[at] ?? NaN));
      expect(distance(average, await numbers(stepper, `${name}/average`))).toBeLessThan(1e-6);
    }
    const all = Int32Array.from({ length: PHOTOS }, (_, slot) => slot);
    const averaged = (await stepper.evaluate(all)).logits.slice();
    // The averages in the parameters' own place must give the same logits.
    const state = await stepper.getState();
    await stepper.close();
    const plain = await open({});
    plain.setState(
      new Map([...state].flatMap(([key, value]) => (key.endsWith('/average') ? [[key.slice(0, -8), value]] : []))),
    );
    expect(distance(averaged, (await plain.evaluate(all)).logits)).toBeLessThan(1e-6);
    plain.setState(state);
    expect(distance(averaged, (await plain.evaluate(all)).logits)).toBeGreaterThan(1e-4);
    await plain.close();
  });

  it('leave the training as it is', async () => {
    const [without, averaged] = [await after({}), await after({ averageDecay: 0.99 })];
    expect(averaged.losses).toEqual(without.losses);
    const bits = bitsOf(averaged.state);
    for (const [name, own] of bitsOf(without.state)) expect(bits.get(name)).toBe(own);
  });
});

describe('an end that comes early', () => {
  it('lets a plan whose time is up take its first step alone', async () => {
    const stepper = await open({});
    const { losses, images } = await stepper.steps({ ...plan, limitMs: 0 });
    expect([losses.length, images]).toEqual([1, 8]);
    const whole = await after({});
    expect(losses[0]).toBe(whole.losses[0]);
    expect((await stepper.steps({ ...plan, limitMs: 1e9 })).losses).toHaveLength(3);
    await stepper.close();
  });

  it('ends an evaluation between its runs', async () => {
    const stepper = await open({});
    const all = Int32Array.from(labels.keys());
    const { logits } = await stepper.evaluate(all);
    // One run takes as many images as 512 KB of their boundary are.
    let runs = 0;
    const part = await stepper.evaluate(all, () => runs++ > 0);
    const images =
      runs > 1 ? part.logits.findIndex((_, at) => at % CLASSES === 0 && part.logits[at] === 0) / CLASSES : PHOTOS;
    expect(images).toBeGreaterThan(0);
    expect(part.logits.subarray(0, images * CLASSES)).toEqual(logits.subarray(0, images * CLASSES));
    expect((await stepper.evaluate(all, () => true)).logits.every((each) => each === 0)).toBe(true);
    await stepper.close();
  });
});

describe('clipping', () => {
  it('moves no further than the norm allows, and not at all differently below it', async () => {
    const sgd = { ...optimizers.sgd, momentum: 0, weightDecay: 0 };
    const first = { ...plan, slots: slots.subarray(0, 8), learningRates: Float32Array.of(1) };
    const before = await after({ optimizer: sgd }, []);
    const moved = async (clipNorm: number) => {
      const { state } = await after({ optimizer: sgd, clipNorm }, [first]);
      let sum = 0;
      for (const [name, value] of state)
        value.forEach((now, at) => (sum += (now - (before.state.get(name)?.[at] ?? NaN)) ** 2));
      return Math.sqrt(sum);
    };
    const free = await moved(0);
    expect(await moved(free / 2)).toBeCloseTo(free / 2, 5);
    expect(await moved(free * 2)).toBeCloseTo(free, 5);
  });
});

describe('soft targets', () => {
  it('are one-hot rows of the labels where a plan has none', async () => {
    const [hard, soft] = [await after({ labelSmoothing: 0.1 }), await after({ labelSmoothing: 0.1, targets: 'soft' })];
    expect(distance(hard.losses, soft.losses)).toBeLessThan(1e-6);
    const rows = new Float32Array(24 * CLASSES);
    slots.forEach((slot, n) => slot >= 0 && (rows[n * CLASSES + (labels[slot] ?? 0)] = 1));
    const given = await after({ labelSmoothing: 0.1, targets: 'soft', microBatch: 3 }, [{ ...plan, targets: rows }]);
    expect(distance(hard.losses, given.losses)).toBeLessThan(1e-5);
  });
});

describe('learning-rate multipliers', () => {
  it('scale the step of the parameters that they name', async () => {
    const sgd = { ...optimizers.sgd, momentum: 0, weightDecay: 0 };
    const first = { ...plan, slots: slots.subarray(0, 8), learningRates: Float32Array.of(0.1) };
    const before = await after({ optimizer: sgd }, []);
    const plain = await after({ optimizer: sgd }, [first]);
    const scaled = await after(
      {
        optimizer: sgd,
        learningRateMultipliers: [
          { glob: 'head', multiplier: 3 },
          { glob: '*.bias', multiplier: 0.5 },
        ],
      },
      [first],
    );
    const change = ({ state }: { state: Map<string, Float32Array> }, name: string) =>
      [...(state.get(name) ?? [])].map((value, at) => value - (before.state.get(name)?.[at] ?? NaN));
    for (const [name, factor] of [
      ['fc2.weight', 3],
      ['fc2.bias', 3],
      ['conv4.bias', 0.5],
      ['conv4.weight', 1],
    ] as const)
      expect(
        distance(
          change(plain, name).map((value) => value * factor),
          change(scaled, name),
        ),
        name,
      ).toBeLessThan(1e-3);
  });
});

describe('rows that stay on disk', () => {
  it.each([
    ['a batch at once', {}],
    ['a batch in parts', { microBatch: 3 }],
    ['pixels', { policy: 'full' }],
    ['float16', { boundaryDtype: 'float16' as const }],
  ])('give the bits of rows in memory: %s', async (_, options) => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const cache = { folder, decoder: 'none', inMemoryBytes: 0 };
    const plans = [plan, { ...plan, firstStep: 4 }];
    const { losses, logits, state } = await after(options, plans);
    const onDisk = await after(options, plans, cache);
    expect(onDisk.losses).toEqual(losses);
    expect(onDisk.logits).toEqual(logits);
    expect(bitsOf(onDisk.state)).toEqual(bitsOf(state));
  });

  it.each([
    ['a batch at once', {}, 1],
    ['a batch in parts, one of which has been run', { microBatch: 3 }, 1],
  ])('are asked for again where they were removed, and then give the same bits: %s', async (_, options, taken) => {
    const undisturbed = await open(options);
    const whole = await undisturbed.steps(plan);
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const cache = { folder, decoder: 'none', inMemoryBytes: 0 };
    const half = PHOTOS / 2;
    const storeHalf = (stepper: Stepper, from: number) => {
      const own = [...labels.keys()].slice(from, from + half);
      return store(stepper, {
        slots: Int32Array.from(own),
        labels: own.map((photo) => labels[photo] ?? 0),
        pixels: pixels.slice(from * imageBytes, (from + half) * imageBytes),
        keys: own.map(keyOf),
      });
    };
    const before = await create(options, cache);
    await storeHalf(before, 0);
    await before.close();
    const kept = new Set(filesIn(folder));
    const stepper = await create(options, cache);
    const first = labels.slice(0, half);
    expect(await stepper.recall(Int32Array.from(first.keys()), first, [...first.keys()].map(keyOf))).toEqual([]);
    await storeHalf(stepper, half);
    for (const name of filesIn(folder)) if (!kept.has(name)) rmSync(join(folder, name));
    const stopped = await stepper.steps(plan);
    expect(stopped.losses).toEqual(whole.losses.subarray(0, taken));
    expect(stopped.lost).toEqual([...labels.keys()].slice(half));
    expect((await stepper.evaluate(slots.subarray(0, 21))).lost).toEqual(stopped.lost);
    await storeHalf(stepper, half);
    const { slots: all, learningRates } = plan;
    const rest = await stepper.steps({
      slots: all.subarray(8 * taken),
      learningRates: learningRates.subarray(taken),
      firstStep: 1 + taken,
    });
    expect(rest.lost).toBeUndefined();
    expect([...stopped.losses, ...rest.losses]).toEqual([...whole.losses]);
    expect([stopped.correct + rest.correct, stopped.images + rest.images]).toEqual([whole.correct, whole.images]);
    expect(bitsOf(await floatsOf(stepper))).toEqual(bitsOf(await floatsOf(undisturbed)));
    await stepper.close();
  });

  it('are not taken from a photo that has changed since they were removed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const stepper = await open({}, { folder, decoder: 'none', inMemoryBytes: 0 });
    rmSync(folder, { recursive: true });
    expect((await stepper.steps(plan)).lost).toHaveLength(PHOTOS);
    const changed = { slots: Int32Array.of(0), labels: [0], pixels: pixels.slice(0, imageBytes), keys: [keyOf(99)] };
    await expect(store(stepper, changed)).rejects.toMatchObject({ code: 'bad-cache' });
    await stepper.close();
  });
});

describe('mixed precision', () => {
  const mixed = { precision: 'mixed' as const, optimizer: optimizers.sgd };
  const setScalar = (stepper: Stepper, name: string, number: number) =>
    stepper.setState(new Map([[name, floatTensor([], [number])]]));

  it.each<[string, Partial<CompileOptions>]>([
    ['F1C1', {}],
    ['full', { policy: 'full' }],
    ['full, with activations computed again', { policy: 'full', recompute: true }],
    ['a batch in parts', { microBatch: 3 }],
    ['statistics of the batch', { policy: 'full', batchNorm: 'batch' }],
    ['averages and clipping', { averageDecay: 0.9, clipNorm: 0.3 }],
    ['features in float16', { boundaryDtype: 'float16' }],
  ])('learns what float32 does, but for the rounding of float16: %s', async (_, options) => {
    const exact = await after({ ...options, optimizer: optimizers.sgd });
    const rounded = await after({ ...options, ...mixed });
    expect(distance(exact.losses, rounded.losses)).toBeLessThan(2e-3);
    expect(Math.abs(exact.correct - rounded.correct)).toBeLessThan(2);
    expect(distance(exact.logits, rounded.logits)).toBeLessThan(1e-2);
    // Other numbers than those of float32, as they would be if nothing were in float16.
    expect(distance(exact.logits, rounded.logits)).toBeGreaterThan(1e-6);
    expect(rounded.state.get('loss_scale')).toEqual(Float32Array.of(2 ** 16));
    expect(rounded.state.get('loss_scale_steps')).toEqual(Float32Array.of(3));
  });

  it.each([{}, { microBatch: 3 }])(
    'takes no step whose gradients overflow, and halves the scale: %j',
    async (options) => {
      const stepper = await open({ ...mixed, ...options, averageDecay: 0.9 });
      setScalar(stepper, 'loss_scale', 2 ** 100);
      const before = await stepper.getState();
      const one = { ...plan, slots: slots.subarray(0, 8), learningRates: Float32Array.of(0.1) };
      const { losses } = await stepper.steps(one);
      expect(losses[0]).toBeLessThan(10);
      const now = await stepper.getState();
      for (const [name, value] of before)
        if (name === 'loss_scale') expect(now.get(name)?.data).toEqual(Float32Array.of(2 ** 99));
        else expect(now.get(name), name).toEqual(value);
      setScalar(stepper, 'loss_scale', 2 ** 10);
      setScalar(stepper, 'loss_scale_steps', 1999);
      await stepper.steps(one);
      expect(await numbers(stepper, 'loss_scale')).toEqual([2 ** 11]);
      expect(await numbers(stepper, 'loss_scale_steps')).toEqual([0]);
      expect((await stepper.getState()).get('fc2.bias')).not.toEqual(before.get('fc2.bias'));
      await stepper.close();
    },
  );

  it('keeps gradients that float16 alone would lose', async () => {
    // Photos of one class, which is all but certain: the gradients of logits are e⁻²⁰, and float16 holds nothing below 6e-8.
    const own = [...labels.keys()].filter((photo) => labels[photo] === 1).slice(0, 8);
    const one = { slots: Int32Array.from(own), learningRates: Float32Array.of(1e7), firstStep: 1 };
    const change = async (options: Partial<CompileOptions>, scale?: number) => {
      const stepper = await open({ optimizer: { ...optimizers.sgd, weightDecay: 0 }, ...options });
      stepper.setState(new Map([['fc2.bias', floatTensor([CLASSES], [0, 20, 0])]]));
      if (scale !== undefined) setScalar(stepper, 'loss_scale', scale);
      const before = await numbers(stepper, 'conv4.weight');
      await stepper.steps(one);
      const now = await numbers(stepper, 'conv4.weight');
      await stepper.close();
      return now.map((value, index) => value - (before[index] ?? NaN));
    };
    const exact = await change({});
    expect(distance(exact, await change({ precision: 'mixed' }))).toBeLessThan(0.05);
    expect(distance(exact, await change({ precision: 'mixed' }, 1))).toBeGreaterThan(0.5);
  });
});
