import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { readSuite } from '../../src/bench/suiteFile/readSuite.js';
import { drawPictures } from '../../src/data/pictures.js';
import { cutAfter, HubServer, sha256 } from '../hub/hubServer.js';
import { SMALL_CNN } from '../models.js';
import { cliHere, expectRefusal, filesBelow, folder, main, type Outcome } from './cli.js';

const CNN = readFileSync(SMALL_CNN);
let hub: HubServer;
let work: string;
let pictures: string;

beforeAll(async () => {
  hub = await HubServer.start();
  hub.add('o/net', { 'onnx/model.onnx': CNN, 'config.json': '{}' });
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 3, valPerClass: 2, size: 32, seed: 1 });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.stop();
});
beforeEach(() => {
  work = folder();
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_CACHE', join(work, 'hub'));
  vi.stubEnv('HF_HUB_OFFLINE', '');
  hub.seen.splice(0);
});

const train = (...args: string[]) => [
  ...['train', '--data', pictures, '--policy', 'F1C0', '--threads', '1', '--no-cache', ...args],
];

it('lists, loads, finds and removes networks by name', async () => {
  const name = 'hf:o/net';
  expectRefusal(await cliHere(['models', 'path', name]), /not here; load it: ort-tl models pull hf:o\/net/);
  const pulled = await cliHere(['models', 'pull', name]);
  const path = pulled.stdout.trim();
  expect(pulled.stderr).toBe('loading onnx/model.onnx, config.json of hf:o/net: 2.2 MB\n');
  expect(sha256(readFileSync(path))).toBe(sha256(CNN));
  expect((await cliHere(['models', 'path', name])).stdout).toBe(`${path}\n`);
  const listed = JSON.parse((await cliHere(['models', 'ls', '--json'])).stdout) as { name: string; state: string }[];
  expect(listed).toContainEqual({ name: 'hf:o/net/onnx/model.onnx', state: 'pulled', path, bytes: CNN.length });
  expect((await cliHere(['models', 'ls'])).stdout).toMatch(/^small_cnn +embedded +2\.2 MB +MIT/m);
  expect((await cliHere(['models', 'rm', name])).stdout).toBe('removed hf:o/net/onnx/model.onnx, 2.2 MB\n');
  expect(filesBelow(join(work, 'hub'))).toEqual([]);
  expectRefusal(await cliHere(['models', 'rm', name]), /not in the cache; see ort-tl models ls/);
});

it('every verb takes a model by its name, and standard output stays what it was', async () => {
  const name = 'hf:o/net';
  const inspected = await cliHere(['inspect', name]);
  expect(inspected.stderr).toMatch(/^loading /);
  expect(inspected.stdout).toBe((await cliHere(['inspect', SMALL_CNN])).stdout);
  const out = join(work, 'artifacts');
  const compiled = await cliHere(['compile', '--model', name, '--classes', 'a,b', '--out', out]);
  expect(compiled).toMatchObject({ status: 0, stderr: '' });
  expect((await cliHere(['doctor'])).stdout).toContain(`those from ${hub.endpoint} are kept in ${join(work, 'hub')}`);
});

it('a run that began with a name keeps it, and goes on, is exported and used without a network', async () => {
  const out = join(work, 'run');
  expect(await cliHere(train('--model', 'hf:o/net', '--epochs', '1', '--out', out))).toMatchObject({ status: 0 });
  expect(readFileSync(join(out, 'args.yaml'), 'utf8')).toMatch(/^model: hf:o\/net$/m);
  hub.seen.splice(0);
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  expect(await cliHere(['train', '--resume', out])).toMatchObject({ status: 0 });
  const exported = join(work, 'exported.onnx');
  expect(await cliHere(['export', out, '--out', exported, '--verify', '4'])).toMatchObject({ status: 0 });
  const delta = join(work, 'tuned.delta');
  expect(await cliHere(['export', out, '--delta', '--out', delta])).toMatchObject({ status: 0 });
  const again = join(work, 'again.onnx');
  expect(await cliHere(['apply', '--base', 'hf:o/net', '--delta', delta, '--out', again])).toMatchObject({ status: 0 });
  expect(sha256(readFileSync(again))).toBe(sha256(readFileSync(join(out, 'model.onnx'))));
  // A run's folder is its model.
  const photos = join(pictures, 'val', 'boat');
  const byFolder = await cliHere(['predict', '--model', out, photos]);
  expect(byFolder.stdout).toBe((await cliHere(['predict', '--model', join(out, 'model.onnx'), photos])).stdout);
  expect(hub.seen).toEqual([]);
  rmSync(join(work, 'hub'), { recursive: true });
  expectRefusal(await cliHere(['train', '--resume', out]), /hf:o\/net is not in the cache, and HF_HUB_OFFLINE/);
});

it('a run goes on with the very file that it began with', async () => {
  hub.add('o/changing', { 'model.onnx': CNN });
  const out = join(work, 'run');
  await cliHere(train('--model', 'hf:o/changing', '--epochs', '1', '--out', out));
  const other = Buffer.from(CNN);
  other[300_000] = (other[300_000] ?? 0) ^ 1;
  hub.add('o/changing', { 'model.onnx': other });
  await cliHere(['models', 'pull', 'hf:o/changing']);
  expectRefusal(await cliHere(['train', '--resume', out]), /was begun with|another|other/);
});

it('a training goes on from a run’s folder', async () => {
  const first = join(work, 'first');
  await cliHere(train('--model', 'small_cnn', '--epochs', '1', '--out', first));
  expect(readFileSync(join(first, 'args.yaml'), 'utf8')).toMatch(/^model: small_cnn$/m);
  const second = join(work, 'second');
  expect(await cliHere(train('--model', first, '--epochs', '1', '--out', second))).toMatchObject({ status: 0 });
  expect(readFileSync(join(second, 'args.yaml'), 'utf8')).toContain(`model: ${first}\n`);
  expect(await cliHere(['inspect', second])).toMatchObject({ status: 0 });
});

it('a suite loads what its models are by name, when it runs', async () => {
  const suite = join(work, 'suite.yaml');
  copyFileSync(SMALL_CNN, join(work, 'net.onnx'));
  writeFileSync(
    suite,
    `models: { named: small_cnn, here: net.onnx, far: 'hf:o/net' }
data: { photos: ${JSON.stringify(pictures)} }
policies: [F1C0]
cache: cold
warm-up: false
train: { epochs: 1 }
energy: { source: none, idle: 0 }
`,
  );
  const models = () => readSuite(suite).rows.map(({ model, missing }) => ({ path: model.path, missing }));
  expect(models()).toMatchObject([
    { path: SMALL_CNN, missing: undefined },
    { path: join(work, 'net.onnx'), missing: undefined },
    { missing: 'model far: it is not here; ort-tl models pull hf:o/net' },
  ]);
  expect(hub.seen).toEqual([]);
  const only = ['--only', 'far-photos', '--out', join(work, 'bench'), '--json'];
  expect(await cliHere(['bench', suite, ...only])).toMatchObject({ status: 0 });
  expect(models()[2]).toMatchObject({ path: expect.stringContaining('models--o--net') as string, missing: undefined });
});

it('two processes that load at once load once, and both have it', async () => {
  const run = () =>
    new Promise<Outcome>((resolve) => {
      const child = spawn(process.execPath, [main, 'models', 'pull', 'hf:o/net'], { env: process.env });
      const printed = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => (printed.stdout += String(chunk)));
      child.stderr.on('data', (chunk) => (printed.stderr += String(chunk)));
      child.on('close', (status) => resolve({ status, ...printed }));
    });
  const outcomes = await Promise.all([run(), run()]);
  expect(outcomes).toMatchObject([{ status: 0 }, { status: 0 }]);
  expect(new Set(outcomes.map(({ stdout }) => stdout)).size).toBe(1);
  expect(sha256(readFileSync(outcomes[0].stdout.trim()))).toBe(sha256(CNN));
  expect(hub.seenBy('storage')).toHaveLength(1);
});

it.skipIf(process.platform === 'win32').each([[['inspect', 'hf:o/net']], [['models', 'pull', 'hf:o/net']]])(
  '%j that is stopped leaves no model, and the next one goes on',
  async (args) => {
    // The rest never comes.
    hub.storageFaults.push(({ method }, response) => {
      if (method !== 'GET') return false;
      response.writeHead(200, { 'content-length': CNN.length });
      response.write(CNN.subarray(0, 600_000));
      return true;
    });
    const child = spawn(process.execPath, [main, ...args], { env: process.env, stdio: 'ignore' });
    const ended = new Promise<number | string | null>((resolve) =>
      child.on('close', (code, signal) => resolve(code ?? signal)),
    );
    const arrived = () => {
      const part = filesIn(join(work, 'hub')).find((path) => path.endsWith('.incomplete'));
      return part === undefined ? 0 : statSync(part).size;
    };
    await vi.waitUntil(() => arrived() === 600_000, { timeout: 60_000 });
    child.kill('SIGINT');
    // A shell shows 130 for both.
    expect([130, 'SIGINT']).toContain(await ended);
    expect(filesIn(join(work, 'hub')).filter((path) => /\.onnx$|\.lock$/.test(path))).toEqual([]);
    expectRefusal(await cliHere(['models', 'path', 'hf:o/net']), /not here/);
    expect(await cliHere(['models', 'pull', 'hf:o/net'])).toMatchObject({ status: 0 });
    const [, resumed] = hub.seen.filter(({ server }) => server === 'storage');
    expect(resumed).toMatchObject({ range: 'bytes=600000-' });
  },
);

const filesIn = (path: string) => (existsSync(path) ? filesBelow(path) : []);

it('shows what it waits for', async () => {
  hub.storageFaults.push(cutAfter(100_000, CNN));
  const { stderr } = await cliHere(['models', 'pull', 'hf:o/net']);
  expect(stderr).toMatch(/hf:o\/net\/onnx\/model\.onnx: .*trying again in 1 s/);
});
