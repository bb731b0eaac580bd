import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadArtifacts } from '../../src/artifacts/load.js';
import type { Dataset } from '../../src/data/dataset.js';
import { readModel, writeModel } from '../../src/onnx/model.js';
import { planningOf } from '../../src/train/compileWithin.js';
import { startCompiling } from '../../src/train/compiler.js';
import { settingsOf, type TrainOptions } from '../../src/train/trainOptions.js';
import { SMALL_CNN } from '../models.js';

const at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
const small = readModel(SMALL_CNN);
const photos = Array.from({ length: 8 }, (_, index) => ({ path: join(at, `${index}.jpg`), label: index % 2 }));
const dataset: Dataset = { folder: at, classes: ['a', 'b'], train: photos, val: photos };

/** The same network in a file of more than eight megabytes, as large models are. */
async function largeModel() {
  const path = join(at, 'large.onnx');
  await writeModel({ ...small.proto, producerName: 'x'.repeat(9e6) }, path);
  return readModel(path);
}

async function compileTo(folder: string, options: TrainOptions) {
  const compiling = await startCompiling(options.model, planningOf(options, settingsOf(options)));
  try {
    await compiling.write(join(at, folder));
    return { settings: compiling.settings, artifacts: loadArtifacts(join(at, folder)) };
  } finally {
    compiling.close();
  }
}

it('compiles a large model in another process to the same files, and to the same plan', async () => {
  const options = { model: small, dataset, policy: 'full', batch: 8, memoryBytes: 263e6, out: at };
  const [here, apart] = [
    await compileTo('here', options),
    await compileTo('apart', { ...options, model: await largeModel() }),
  ];
  expect(here.settings.microBatch).toBeLessThan(8);
  expect(apart.settings).toEqual(here.settings);
  expect(apart.artifacts.manifest.files).toEqual(here.artifacts.manifest.files);
});

it('stops compiling a large model when it is told to', async () => {
  const options = { model: await largeModel(), dataset, policy: 'full', out: at };
  const controller = new AbortController();
  const planning = planningOf(options, settingsOf(options));
  const compiling = startCompiling(options.model, planning, controller.signal);
  controller.abort();
  await expect(compiling).rejects.toMatchObject({ code: 'stopped' });
  await expect(startCompiling(options.model, planning, AbortSignal.abort())).rejects.toMatchObject({ code: 'stopped' });
  const whole = await startCompiling(options.model, planning);
  whole.close();
});

it('is refused there as it is here', async () => {
  const options = { model: await largeModel(), dataset, policy: 'layers:nowhere', out: at };
  await expect(compileTo('none', options)).rejects.toMatchObject({ code: 'bad-policy', name: 'UserError' });
  const little = { ...options, policy: 'full', memoryBytes: 1e6 };
  await expect(compileTo('none', little)).rejects.toMatchObject({ code: 'too-little-memory' });
});

/** The processes that this one has started. */
const children = () =>
  readdirSync('/proc/self/task').flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );

it.runIf(process.platform === 'linux')(
  'says that its process was killed, and refuses what is asked later',
  async () => {
    const options = { model: await largeModel(), dataset, policy: 'F1C1', out: at };
    const before = new Set(children());
    const compiling = await startCompiling(options.model, planningOf(options, settingsOf(options)));
    const [child] = children().filter((pid) => !before.has(pid));
    process.kill(child ?? 0, 'SIGKILL');
    const killed = { name: 'MachineError', code: 'out-of-memory', message: /was killed, probably for lack of memory/ };
    for (let again = 0; again < 2; again++)
      await expect(compiling.write(join(at, 'killed'))).rejects.toMatchObject({
        ...killed,
        message: expect.stringMatching(killed.message) as string,
      });
    compiling.close();
  },
);

it('says that its process ran out of memory where Node.js gave up', async () => {
  const options = { model: await largeModel(), dataset, policy: 'full', out: at };
  const before = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] = '--max-old-space-size=12';
  try {
    await expect(compileTo('none', options)).rejects.toMatchObject({ name: 'MachineError', code: 'out-of-memory' });
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  }
});

it('hands on where an error of the process came from', async () => {
  const options = { model: await largeModel(), dataset, policy: 'layers:nowhere', out: at };
  const thrown: unknown = await compileTo('none', options).catch((error: unknown) => error);
  expect(thrown).toHaveProperty('stack', expect.stringContaining('dist/bin/'));
});
