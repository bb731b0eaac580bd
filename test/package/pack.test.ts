import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../..', import.meta.url));
/** What npm says where the registry is out of reach, and its cache does not hold what is needed. */
const OFFLINE = /ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/;

it.skipIf(process.platform === 'win32')('is built with a command that can be run, again and again', async () => {
  // npx makes it executable when it links it for the first time, and never again.
  expect((await stat(join(repository, 'dist', 'bin', 'start.cjs'))).mode & 0o111).toBe(0o111);
});

it('is set up from the npm registry alone, whatever version npm has', async () => {
  // npm from 11.19 reads what package.json allows; every npm takes the lockfile's word for whether there is a script to run.
  const [manifest, lockfile] = await Promise.all(
    ['package.json', 'package-lock.json'].map(async (name) => readFile(join(repository, name), 'utf8')),
  );
  expect(JSON.parse(manifest ?? '')).toMatchObject({ allowScripts: { 'onnxruntime-node': false } });
  const { packages } = z
    .object({ packages: z.record(z.string(), z.object({ hasInstallScript: z.boolean().default(false) })) })
    .parse(JSON.parse(lockfile ?? ''));
  expect(packages['node_modules/onnxruntime-node']?.hasInstallScript, 'take the line out again').toBe(false);
});

describe('the package, installed in an empty project', () => {
  let project: string;
  let offline = false;

  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'ort-tl-package-'));
    // npm test has built dist/.
    const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], {
      cwd: repository,
    });
    const filename = /"filename":\s*"([^"]+)"/.exec(packed.stdout)?.[1] ?? '';
    await writeFile(join(project, 'package.json'), '{ "private": true }');
    try {
      await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], {
        cwd: project,
        env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
      });
    } catch (thrown) {
      if (!OFFLINE.test(String(thrown))) throw thrown;
      offline = true;
    }
  }, 240_000);

  afterAll(async () => {
    await rm(project, { recursive: true, force: true });
  });

  it('runs its command', async ({ skip }) => {
    if (offline) skip('the npm registry is out of reach');
    await writeFile(
      join(project, 'draw.mjs'),
      `import { drawPictures } from 'ort-tl';
       await drawPictures('pictures', { set: 'demo', trainPerClass: 4, valPerClass: 2, seed: 0 });`,
    );
    await run(process.execPath, ['draw.mjs'], { cwd: project });
    const model = join('node_modules', 'ort-tl', 'models', 'small_cnn.onnx');
    const flags = ['--model', model, '--data', 'pictures', '--epochs', '1', '--json'];
    const { stdout } = await run('npx', ['--no-install', 'ort-tl', 'train', ...flags], { cwd: project });
    expect(JSON.parse(stdout)).toMatchObject({ policy: 'F1C1', verified: { photos: 12, agreeing: 12 } });
  }, 120_000);

  it('is a library for ES modules and, by dynamic import, for CommonJS', async ({ skip }) => {
    if (offline) skip('the npm registry is out of reach');
    await writeFile(
      join(project, 'module.mjs'),
      `import { compile, ImageFolder, Trainer } from 'ort-tl';
       console.log(typeof compile, typeof ImageFolder.open, typeof Trainer);`,
    );
    await writeFile(
      join(project, 'script.cjs'),
      `import('ort-tl').then(({ inspect, readModel }) => {
         const model = readModel('node_modules/ort-tl/models/small_cnn.onnx');
         console.log(inspect(model, { batch: 1 }).layers.length);
       });`,
    );
    expect((await run(process.execPath, ['module.mjs'], { cwd: project })).stdout).toBe('function function function\n');
    // The small CNN has four convolutions and two fully connected layers.
    expect((await run(process.execPath, ['script.cjs'], { cwd: project })).stdout).toBe('6\n');
  }, 60_000);

  it('has types that a strict project can use', async ({ skip }) => {
    if (offline) skip('the npm registry is out of reach');
    await writeFile(
      join(project, 'use.mts'),
      `import { ImageFolder, readModel, Trainer, type Summary } from 'ort-tl';
       const dataset = await ImageFolder.open('photos');
       const trainer = new Trainer({ model: readModel('net.onnx'), dataset, policy: 'F1C1', out: 'runs/first' });
       for await (const event of trainer) if (event.type === 'epoch') console.log((event.result.top1 ?? 0) + 1);
       const summary: Summary = await trainer.run();
       // @ts-expect-error A policy is a string.
       new Trainer({ model: readModel('net.onnx'), dataset, policy: 1, out: summary.model });`,
    );
    const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
    await run(
      process.execPath,
      [tsc, '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', 'use.mts'],
      {
        cwd: project,
      },
    );
  }, 60_000);
});
