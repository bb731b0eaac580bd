import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import { loadArtifacts } from '../../src/artifacts/load.js';
import { sha256 } from '../../src/files.js';
import { readModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { Engine } from '../../src/runtime/engine.js';
import { sessionOptions } from '../../src/runtime/partSessions.js';
import type { SentTensor } from '../../src/runtime/sentTensor.js';
import type { SessionOperations } from '../../src/runtime/sessionOperations.js';
import { SessionPool } from '../../src/runtime/sessionPool.js';
import { startWorker } from '../../src/runtime/startWorker.js';
import { SMALL_CNN } from '../models.js';

const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const SIDE = 32;
const random = new Random(3);
const images = Array.from({ length: 160 }, () =>
  Uint8Array.from({ length: SIDE * SIDE * 3 }, () => random.next() * 256),
);
const path = join(folder, 'frozen.onnx');
const options = sessionOptions(1, 'cpu');
let boundary: string[];

beforeAll(async () => {
  const compiled = compile(readModel(SMALL_CNN), { policy: 'F1C1', classes: ['a', 'b'], batch: 8 });
  await writeArtifacts(compiled, folder);
  boundary = compiled.manifest.boundary.map(({ name }) => name);
});

const feedOf = (image: Uint8Array): SentTensor => ({
  name: 'pixels',
  type: 'uint8',
  dims: [1, SIDE, SIDE, 3],
  data: image.slice(),
});
const hashOf = (results: readonly SentTensor[]) =>
  sha256(...results.map(({ data }) => new Uint8Array((data as Float32Array).buffer.slice(0))));

describe('a pool of sessions', () => {
  const pools: SessionPool[] = [];
  const open = async (count: number) => {
    const pool = await SessionPool.open(path, options, count);
    pools.push(pool);
    return pool;
  };
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));

  it('gives each run its own results, the same bits by any number of sessions', async () => {
    const [one, three] = await Promise.all([open(1), open(3)]);
    const run = async (pool: SessionPool) =>
      Promise.all(images.slice(0, 20).map(async (image) => hashOf(await pool.run([feedOf(image)], boundary))));
    const hashes = await run(one);
    expect(new Set(hashes).size).toBe(20);
    expect(await run(three)).toEqual(hashes);
  });

  it('tells why a run failed, and takes the next', async () => {
    const pool = await open(2);
    const wrong = (): SentTensor => ({ ...feedOf(new Uint8Array(3)), dims: [1, 1, 1, 3] });
    const right = feedOf(images[0] ?? new Uint8Array());
    const runs = [wrong(), right, wrong(), wrong()].map((feed) => pool.run([feed], boundary));
    const outcomes = await Promise.allSettled(runs);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'rejected']);
    expect(outcomes[0]).toMatchObject({ reason: { message: expect.stringMatching(/invalid dimensions/) as string } });
  });

  it('refuses runs once it is closed', async () => {
    const pool = await open(2);
    await pool.close();
    await expect(pool.run([feedOf(images[0] ?? new Uint8Array())], boundary)).rejects.toThrow(
      'the worker that runs a session',
    );
  });

  it('runs its only session in a worker that is given, which goes on when it is closed', async () => {
    const { worker, caller } = startWorker<SessionOperations>('sessionWorker', 'is given');
    const own = await open(1);
    const [image = new Uint8Array()] = images;
    const expected = hashOf(await own.run([feedOf(image)], boundary));
    try {
      for (let time = 0; time < 2; time++) {
        const pool = await SessionPool.open(path, options, 1, caller);
        expect(hashOf(await pool.run([feedOf(image)], boundary))).toBe(expected);
        const begun = pool.run([feedOf(image)], boundary);
        await pool.close();
        expect(hashOf(await begun)).toBe(expected);
        await expect(pool.run([feedOf(image)], boundary)).rejects.toThrow('no session is open');
      }
    } finally {
      await worker.terminate();
    }
  });

  it('is not opened where ONNX Runtime refuses the model', async () => {
    const damaged = join(folder, 'damaged.onnx');
    writeFileSync(damaged, 'no model');
    await expect(SessionPool.open(damaged, options, 2)).rejects.toThrow(/damaged\.onnx/);
  });
});

describe('photos that are stored at once', () => {
  it('give the same bits, in one session or in several', async () => {
    const slots = Int32Array.from(images.keys());
    const labels = images.map((_, index) => index % 2);
    const logitsWith = async (threads: number) => {
      const engine = await Engine.start(folder, { slots: images.length, threads });
      try {
        const stored: Promise<void>[] = [];
        for (let first = 0; first < images.length; first += 50) {
          const some = [first, Math.min(first + 50, images.length)] as const;
          stored.push(engine.store(slots.slice(...some), labels.slice(...some), images.slice(...some)));
        }
        await Promise.all(stored);
        const { logits } = await engine.evaluate(slots);
        return logits;
      } finally {
        await engine.close();
      }
    };
    const alone = await logitsWith(1);
    expect(loadArtifacts(folder).manifest.classes).toHaveLength(alone.length / images.length);
    expect(new Set(alone).size).toBeGreaterThan(images.length);
    expect(await logitsWith(2)).toEqual(alone);
    expect(await logitsWith(5)).toEqual(alone);
  });
});
