import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';
import { expectRefusal, folder, main } from './cli.js';

/** A Vulkan driver that needs no GPU, of Debian's chromium-common; with libvulkan1 it is enough for WebGPU. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const driver = existsSync(SWIFTSHADER) ? { VK_ICD_FILENAMES: SWIFTSHADER, VK_DRIVER_FILES: SWIFTSHADER } : {};
const cli = (args: readonly string[], env: Record<string, string> = driver) =>
  spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    cwd: folder(),
    env: { ...process.env, ...env },
    timeout: 110_000,
  });

let pictures: string;
let available: boolean;
beforeAll(async () => {
  pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 2, valPerClass: 1, size: 32, seed: 1 });
  const { providers } = JSON.parse(cli(['doctor', '--json']).stdout) as {
    providers: { name: string; available: boolean }[];
  };
  available = providers.find(({ name }) => name === 'webgpu')?.available ?? false;
});

const train = (model: string, provider: string, out: string, env?: Record<string, string>) =>
  cli(
    [
      ...['train', '--model', model, '--data', pictures, '--policy', 'F1C1', '--epochs', '2', '--batch', '4', '--json'],
      ...['--provider', provider, '--out', out],
    ],
    env,
  );

function needsAdapter(context: TestContext): void {
  if (!available) context.skip(`WebGPU finds no graphics adapter here, and there is no ${SWIFTSHADER}`);
}

describe('--provider webgpu', () => {
  // The provider cannot tell where the largest of a window is, which the gradient of max pooling asks for.
  it.for([
    ['a residual network', TINY_RESNET],
    ['one with max pooling', SMALL_CNN],
  ] as const)('trains %s to the weights to which the CPU trains it', ([what, model], context) => {
    needsAdapter(context);
    const [cpu, webgpu] = [join(folder(), what, 'cpu'), join(folder(), what, 'webgpu')];
    expect(train(model, 'cpu', cpu).status).toBe(0);
    const trained = train(model, 'webgpu', webgpu);
    expect(trained.status).toBe(0);
    expect(JSON.parse(trained.stdout)).toMatchObject({ provider: 'webgpu', verified: { photos: 6, agreeing: 6 } });
    const weights = (run: string) => readSafetensors(join(run, 'last', 'checkpoint.safetensors')).tensors;
    const expected = weights(cpu);
    expect(expected.size).toBeGreaterThan(0);
    for (const [name, { data }] of weights(webgpu)) {
      const from = expected.get(name)?.data;
      if (!(data instanceof Float32Array && from instanceof Float32Array)) throw new Error(`${name} is not float32`);
      const difference = data.reduce((most, value, at) => Math.max(most, Math.abs(value - (from[at] ?? NaN))), 0);
      // Six steps of at most the learning rate, 1e-3, would differ by as much as 6e-3 if they went elsewhere.
      expect(difference, name).toBeLessThan(5e-4);
    }
    expect(readFileSync(join(webgpu, 'events.jsonl'), 'utf8')).toContain('"provider":"webgpu"');
  });

  it.skipIf(process.platform !== 'linux')('says what it needs where there is no driver', () => {
    const none = { VK_ICD_FILENAMES: '/no/driver.json', VK_DRIVER_FILES: '/no/driver.json' };
    const refused = train(TINY_RESNET, 'webgpu', join(folder(), 'run'), none);
    expectRefusal(
      refused,
      /the webgpu provider does not run on this machine: it needs .*libvulkan1.*--provider cpu \(ONNX Runtime: .+\)/,
    );
  });
});
