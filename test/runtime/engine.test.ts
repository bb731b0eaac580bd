import { cpSync, mkdtempSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it } from 'vitest';
import { FILES, writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import { readModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { Engine } from '../../src/runtime/engine.js';
import { SMALL_CNN } from '../models.js';

const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const OPTIONS = { slots: 4, threads: 1 };
/** The thread behind an engine, which dies by a hand of its own here. */
function workerOf(engine: Engine): Worker {
  const { worker } = Reflect.get(engine, 'stepper') as { readonly worker: unknown };
  if (!(worker instanceof Worker)) throw new Error('the engine has no worker');
  return worker;
}

describe('an engine whose worker dies', () => {
  beforeAll(async () => {
    const compiled = compile(readModel(SMALL_CNN), { policy: 'F1C0', classes: ['a', 'b'], batch: 2 });
    await writeArtifacts(compiled, folder);
  });

  it('refuses what was asked, and what is asked later, with what the worker threw', async () => {
    const engine = await Engine.start(folder, OPTIONS);
    // Nothing that a call looks like: reading it throws where nobody catches.
    workerOf(engine).postMessage(null);
    const reason = await engine.getState().catch((thrown: unknown) => thrown);
    expect(reason).toBeInstanceOf(TypeError);
    expect(reason).toHaveProperty('stack', expect.stringContaining('dist/bin/'));
    await expect(engine.getState()).rejects.toBe(reason);
    await expect(engine.evaluate(Int32Array.of(0))).rejects.toBe(reason);
    await engine.close();
  });

  it('tells by which exit code it ended, and closes', async () => {
    const engine = await Engine.start(folder, OPTIONS);
    const asked = engine.getState();
    await workerOf(engine).terminate();
    await expect(engine.releaseFrozen()).rejects.toThrow('the worker that trains ended with exit code 1');
    await asked.catch(() => undefined);
    await engine.close();
    await engine.close();
  });

  it('hands on the code, the stack and the cause of an error', async () => {
    const damaged = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    cpSync(folder, damaged, { recursive: true });
    truncateSync(join(damaged, FILES.evaluation), 100);
    const thrown: unknown = await Engine.start(damaged, OPTIONS).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ name: 'UserError', code: 'bad-artifacts' });
    expect(thrown).toHaveProperty('stack', expect.stringContaining('dist/bin/'));
  });
});

describe('an engine that stays open', () => {
  const random = new Random(3);
  const photos = Array.from({ length: 2 }, () => Uint8Array.from({ length: 32 * 32 * 3 }, () => random.integer(256)));
  const both = Int32Array.of(0, 1);

  async function artifacts(policy: string, classes: readonly string[]): Promise<string> {
    const at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    await writeArtifacts(compile(readModel(SMALL_CNN), { policy, classes: [...classes], batch: 2 }), at);
    return at;
  }

  async function withEngine<Result>(at: string, labels: readonly number[], use: (engine: Engine) => Promise<Result>) {
    const engine = await Engine.start(at, { slots: 2, threads: 1 });
    try {
      await engine.store(both, labels, photos);
      return await use(engine);
    } finally {
      await engine.close();
    }
  }

  it('keeps photos when it goes on with artifacts for other classes, and refuses those that cut elsewhere', async () => {
    const [two, three] = [await artifacts('F1C0', ['a', 'b']), await artifacts('F1C0', ['a', 'b', 'c'])];
    const expected = await withEngine(three, [0, 1], (engine) => engine.evaluate(both));
    await withEngine(two, [0, 1], async (engine) => {
      await engine.exchange(three);
      expect(await engine.evaluate(both)).toEqual(expected);
      await expect(engine.exchange(await artifacts('F1C1', ['a', 'b']))).rejects.toThrow('another boundary');
      expect(await engine.evaluate(both)).toEqual(expected);
    });
  });

  it('makes room for more photos, and keeps those that it has', async () => {
    await withEngine(await artifacts('F1C0', ['a', 'b']), [0, 1], async (engine) => {
      const before = await engine.evaluate(both);
      await engine.grow(200);
      await engine.store(Int32Array.of(199), [0], photos.slice(0, 1));
      expect(await engine.evaluate(both)).toEqual(before);
      expect(await engine.evaluate(Int32Array.of(199, 1))).toEqual(before);
    });
  });

  it('takes the classes that a plan names in place of those that photos were stored with', async () => {
    const at = await artifacts('F1C0', ['a', 'b']);
    const plan = { slots: both, learningRates: Float32Array.of(0.1), firstStep: 1 };
    const stateAfter = (labels: readonly number[], named?: Int32Array) =>
      withEngine(at, labels, async (engine) => {
        await engine.steps({ ...plan, ...(named ? { labels: named } : {}) });
        return engine.getState();
      });
    const expected = await stateAfter([0, 1]);
    expect(await stateAfter([1, 1], Int32Array.of(0, 1))).toEqual(expected);
    expect(await stateAfter([1, 1])).not.toEqual(expected);
  });

  it('gives what the frozen part makes of a photo, until it is closed', async () => {
    const engine = await withEngine(await artifacts('F1C0', ['a', 'b']), [0, 1], async (open) => {
      const [photo = new Uint8Array()] = photos;
      const [row] = await open.boundaryOf(photo);
      expect(row?.length).toBeGreaterThan(1);
      return open;
    });
    await expect(engine.boundaryOf(new Uint8Array(32 * 32 * 3))).rejects.toThrow('closed');
  });
});
