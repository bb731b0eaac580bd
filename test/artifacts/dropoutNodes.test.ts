import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import { dropout } from '../../src/artifacts/dropoutNodes.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { Builder } from '../../src/graph/builder.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel, readModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { Stepper } from '../../src/runtime/stepper.js';
import { SMALL_CNN } from '../models.js';
import { storePhotos } from '../storePhotos.js';

const [ROWS, COLUMNS, RATIO] = [64, 200, 0.2];

/** Runs dropout on ones. */
async function masks(seed: number): Promise<(step: number) => Promise<Float32Array>> {
  const g = new Builder(18);
  const x = g.input('x', 'float32', [ROWS, COLUMNS]);
  const step = g.input('step', 'float32', []);
  g.output('y', dropout(g, x, RATIO, step, new Random(seed)));
  const session = await ort.InferenceSession.create(encodeModel(modelOfGraph(g.graph, 'dropout')), {
    intraOpNumThreads: 1,
  });
  return async (number) => {
    const ones = new ort.Tensor('float32', new Float32Array(ROWS * COLUMNS).fill(1), [ROWS, COLUMNS]);
    const { y } = await session.run({ x: ones, step: new ort.Tensor('float32', [number], []) });
    return y?.data as Float32Array;
  };
}

const share = (values: ArrayLike<number>, holds: (index: number) => boolean) =>
  Array.from(values, (_, index) => holds(index)).filter(Boolean).length / values.length;

describe('dropout', () => {
  it('leaves out its share, and scales the rest so that the mean stays', async () => {
    const y = await (await masks(1))(1);
    expect(new Set(y)).toEqual(new Set([0, 1.25]));
    // Five standard deviations of 12,800 draws.
    const tolerance = 5 * Math.sqrt((RATIO * (1 - RATIO)) / y.length);
    expect(Math.abs(share(y, (index) => y[index] === 0) - RATIO)).toBeLessThan(tolerance);
  });

  it('leaves out others in each step, row and column, and for each seed', async () => {
    const mask = await masks(1);
    const [first, second, other] = [await mask(1), await mask(2), await (await masks(2))(1)];
    const at = (index: number) => first[index] === 0;
    // Independent masks agree that often.
    const expected = RATIO ** 2 + (1 - RATIO) ** 2;
    const tolerance = 5 * Math.sqrt((expected * (1 - expected)) / first.length);
    const agreement = (same: (index: number) => boolean) => share(first, (index) => at(index) === same(index));
    expect(Math.abs(agreement((index) => second[index] === 0) - expected)).toBeLessThan(tolerance);
    expect(Math.abs(agreement((index) => other[index] === 0) - expected)).toBeLessThan(tolerance);
    expect(Math.abs(agreement((index) => at((index + COLUMNS) % first.length)) - expected)).toBeLessThan(tolerance);
    expect(Math.abs(agreement((index) => at((index + 1) % first.length)) - expected)).toBeLessThan(tolerance);
  });

  it('leaves out the same in the same step, whatever ran before and in whichever session', async () => {
    const [one, two] = [await masks(1), await masks(1)];
    await two(7);
    expect(await one(3)).toEqual(await two(3));
    expect(await one(3)).toEqual(await one(3));
  });

  it('goes on in a new session as in an unbroken one, bit for bit', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const compiled = compile(readModel(SMALL_CNN), {
      policy: 'F1C0',
      classes: ['a', 'b'],
      batch: 2,
      hidden: [32],
      dropout: 0.5,
      preprocessing: ([height, width]) => ({ height, width, resize: 'crop', mean: [0, 0, 0], std: [1, 1, 1] }),
    });
    await writeArtifacts(compiled, folder);
    const pixels = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, index) => (index * 7919) % 251);
    const open = async () => {
      const stepper = await Stepper.create(loadArtifacts(folder), { slots: 2, threads: 1 });
      await storePhotos(stepper, folder, { slots: Int32Array.of(0, 1), labels: [0, 1], pixels });
      return stepper;
    };
    const take = (stepper: Stepper, firstStep: number, count: number) =>
      stepper.steps({
        slots: Int32Array.from({ length: 2 * count }, (_, index) => index % 2),
        learningRates: new Float32Array(count).fill(1e-2),
        firstStep,
      });
    const unbroken = await open();
    await take(unbroken, 1, 6);
    const before = await open();
    await take(before, 1, 4);
    const after = await open();
    after.setState(await before.getState());
    await take(after, 5, 2);
    expect(await after.getState()).toEqual(await unbroken.getState());
    // And evaluation leaves nothing out.
    const slots = Int32Array.from([0, 1]);
    expect(await after.evaluate(slots)).toEqual(await after.evaluate(slots));
    for (const stepper of [unbroken, before, after]) await stepper.close();
  });
});
