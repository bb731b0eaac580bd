import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { IMAGENET_MEAN, IMAGENET_STD } from '../../src/artifacts/preprocessing.js';
import { readModel } from '../../src/onnx/model.js';
import { elementCount, floats, floatTensor } from '../../src/onnx/tensor.js';
import { optimizerSchema } from '../../src/optim/optimizer.js';
import { probeBlockSize } from '../../src/runtime/blockSize.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { EFFICIENTNET_B0, SMALL_CNN, TINY_RESNET } from '../models.js';
import { storePhotos } from '../storePhotos.js';

/** Made by test/fixtures/pytorch/make_steps.py. */
const fixtures = fileURLToPath(new URL('../fixtures/pytorch', import.meta.url));
const fixtureSchema = z.object({
  modelSha256: z.string(),
  policy: z.string(),
  optimizer: optimizerSchema,
  learningRate: z.number(),
  labelSmoothing: z.number(),
  batchNorm: z.enum(['frozen', 'batch']).default('frozen'),
  decay: z.enum(['all', 'weights']).default('all'),
  targets: z.enum(['labels', 'soft']).default('labels'),
  classWeights: z.array(z.number()).optional(),
  focalGamma: z.number().default(0),
  clipNorm: z.number().default(0),
  learningRateMultipliers: z.array(z.object({ glob: z.string(), multiplier: z.number() })).default([]),
  size: z.number(),
  batch: z.number(),
  classes: z.number(),
  losses: z.array(z.number()),
  parameters: z.record(
    z.string(),
    z.object({ l2: z.number(), changeL2: z.number(), samples: z.array(z.tuple([z.number(), z.number()])) }),
  ),
});
type Fixture = z.infer<typeof fixtureSchema>;

/** The fixtures' generator: each call gives a number from 0 up to 1. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

const labelOf = ({ batch, classes }: Fixture, step: number, image: number) => (step * batch + image) % classes;

/** Pixels of all steps, [steps·batch, size, size, 3]. */
function drawPixels(fixture: Fixture): Uint8Array {
  const { size, batch, losses } = fixture;
  const next = generator(2);
  const pixels = new Uint8Array(losses.length * batch * size * size * 3);
  let at = 0;
  for (let step = 0; step < losses.length; step++) {
    for (let image = 0; image < batch; image++) {
      const label = labelOf(fixture, step, image);
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          for (let c = 0; c < 3; c++) {
            const wave = Math.abs(((x * (3 + label) + y * (2 + 2 * label) + 40 * c) % 256) - 128);
            pixels[at++] = Math.min(255, wave + Math.floor(next() * 64));
          }
        }
      }
    }
  }
  return pixels;
}

/** A row of probabilities for each image of all steps. */
function drawTargets({ losses, batch, classes }: Fixture): Float32Array {
  const next = generator(3);
  return Float32Array.from(
    Array.from({ length: losses.length * batch }, () => {
      const row = Array.from({ length: classes }, next);
      const sum = row.reduce((total, value) => total + value, 0);
      return row.map((value) => value / sum);
    }).flat(),
  );
}

const norm = (values: Iterable<number>) => Math.sqrt([...values].reduce((sum, value) => sum + value * value, 0));

const blockSize = await probeBlockSize();

describe.each([
  ['small_cnn', SMALL_CNN, 22],
  ['tiny_resnet', TINY_RESNET, 4],
  ['efficientnet_b0', EFFICIENTNET_B0, 4],
])('ten steps on %s', (name, path, count) => {
  const files = readdirSync(fixtures).filter((file) => file.startsWith(`${name}-`));

  it('has its fixtures', () => {
    expect(files).toHaveLength(count);
  });

  // In standard operators, and as a training on this machine has them, also with little memory.
  const runs = files
    .flatMap((file) => [
      ...[undefined, ...(blockSize ? [blockSize] : [])].map((size) => [file, size, 'kept'] as const),
      ...(file.includes('-full-') ? [[file, blockSize, 'computed again'] as const] : []),
    ])
    // All layers of a large model take seconds: each of these ways once, with either optimizer.
    .filter(
      ([file, size, activations]) =>
        path !== EFFICIENTNET_B0 ||
        !file.includes('-full-') ||
        file.includes('sgd') === (size !== undefined && activations === 'kept'),
    );
  it.skipIf(!existsSync(path)).each(runs)(
    'follow PyTorch: %s, block size %s, activations %s (skipped where the model is missing)',
    async (file, blocks, activations) => {
      const fixture = fixtureSchema.parse(JSON.parse(readFileSync(join(fixtures, file), 'utf8')));
      const { batch, classes, size, losses } = fixture;
      const model = readModel(path);
      expect(model.sha256, 'the fixtures were made for this file').toBe(fixture.modelSha256);
      const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
      const compiled = compile(model, {
        policy: fixture.policy,
        classes: Array.from({ length: classes }, (_, index) => String(index)),
        batch,
        size,
        optimizer: fixture.optimizer,
        decayAll: fixture.decay === 'all',
        targets: fixture.targets,
        labelSmoothing: fixture.labelSmoothing,
        batchNorm: fixture.batchNorm,
        ...(fixture.classWeights ? { classWeights: fixture.classWeights } : {}),
        focalGamma: fixture.focalGamma,
        clipNorm: fixture.clipNorm,
        learningRateMultipliers: fixture.learningRateMultipliers,
        preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: IMAGENET_MEAN, std: IMAGENET_STD }),
        ...(blocks ? { blockSize: blocks } : {}),
        recompute: activations === 'computed again',
      });
      await writeArtifacts(compiled, folder);
      expect(compiled.manifest.optimizer).toEqual(fixture.optimizer);
      const { parameters, statistics } = compiled.manifest;
      expect(new Set([...parameters, ...statistics].map((each) => each.name))).toEqual(
        new Set(Object.keys(fixture.parameters)),
      );

      const stepper = await Stepper.create(loadArtifacts(folder), { slots: batch * losses.length, threads: 2 });
      const [weight, bias] = compiled.manifest.layers.at(-1)?.parameters ?? [];
      const initial = new Map(compiled.state);
      const next = generator(1);
      const headShape = initial.get(weight ?? '')?.dims ?? [];
      initial.set(
        weight ?? '',
        floatTensor(
          headShape,
          Array.from({ length: elementCount(headShape) }, () => next() * 0.1 - 0.05),
        ),
      );
      initial.set(bias ?? '', floatTensor([classes], new Float32Array(classes)));
      stepper.setState(initial);

      const slots = Int32Array.from({ length: batch * losses.length }, (_, slot) => slot);
      const labels = Array.from(slots, (slot) => labelOf(fixture, Math.floor(slot / batch), slot % batch));
      await storePhotos(stepper, folder, { slots, labels, pixels: drawPixels(fixture) });
      const result = await stepper.steps({
        slots,
        learningRates: new Float32Array(losses.length).fill(fixture.learningRate),
        ...(fixture.targets === 'soft' ? { targets: drawTargets(fixture) } : {}),
        firstStep: 1,
      });
      losses.forEach((loss, step) =>
        expect(Math.abs((result.losses[step] ?? NaN) / loss - 1), `loss of step ${step}`).toBeLessThan(1e-4),
      );

      const state = await stepper.getState();
      for (const [parameter, { l2, changeL2, samples }] of Object.entries(fixture.parameters)) {
        const tensor = state.get(parameter);
        if (!tensor) throw new Error(`no ${parameter}`);
        const values = floats(tensor);
        // Biases that began at zero hardly have a scale of their own: a thousandth of a unit is theirs.
        const scale = Math.max(norm(values) / Math.sqrt(values.length), 1e-3);
        expect(Math.abs(norm(values) - l2) / Math.max(l2, 1e-3), `norm of ${parameter}`).toBeLessThan(1e-4);
        // The change alone, for what moved little beside its length; float32 weights round it.
        const before = floats(initial.get(parameter) ?? tensor);
        const change = norm(values.map((value, index) => value - (before[index] ?? NaN)));
        expect(Math.abs(change / changeL2 - 1), `change of ${parameter}`).toBeLessThan(5e-3);
        for (const [index, value] of samples) {
          expect(
            Math.abs((values[index] ?? NaN) - value) / Math.max(Math.abs(value), scale),
            `${parameter}[${index}]`,
          ).toBeLessThan(1e-4);
        }
      }
      await stepper.close();
    },
  );
});
