import { cpSync, mkdtempSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it } from 'vitest';
import { FILES, writeArtifacts } from '../../src/artifacts/artifactFiles.js';
import { compile } from '../../src/artifacts/compile.js';
import { readModel } from '../../src/onnx/model.js';
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
