import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { POOL_VARIABLE, poolSize, wantedPoolSize } from '../src/threadPool.js';

const start = fileURLToPath(new URL('../dist/bin/start.cjs', import.meta.url));
const before = process.env[POOL_VARIABLE];
const set = (value: string | undefined) => {
  if (value === undefined) Reflect.deleteProperty(process.env, POOL_VARIABLE);
  else process.env[POOL_VARIABLE] = value;
};
afterEach(() => {
  set(before);
});

it('wants a thread for each core, four at least and sixteen at most', () => {
  expect([1, 2, 4, 6, 16, 64].map((cores) => wantedPoolSize(cores))).toEqual([4, 4, 4, 6, 16, 16]);
});

// uv_threadpool_init: atoi, of which 0 becomes 1, and more than 1024 becomes that.
it.each([
  [undefined, 4],
  ['7', 7],
  ['0', 1],
  ['many', 1],
  ['5000', 1024],
])('knows that libuv takes %s for %d threads', (value, expected) => {
  set(value);
  expect(poolSize()).toBe(expected);
});

describe.skipIf(process.platform !== 'linux')('the command', () => {
  /** How many threads the command has as it ends, on a machine that says it has so many cores. */
  function threadsOn(cores: number, told?: string): number {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-pool-'));
    try {
      const preload = join(folder, 'cores.cjs');
      writeFileSync(
        preload,
        `require('node:os').availableParallelism = () => ${cores};
        process.on('exit', () => process.stderr.write(String(require('node:fs').readdirSync('/proc/self/task').length)));`,
      );
      const env = { ...process.env, [POOL_VARIABLE]: told };
      const { stderr } = spawnSync(process.execPath, ['--require', preload, start, '--help'], {
        encoding: 'utf8',
        env,
      });
      return Number(stderr);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it('has a thread for each core before it loads its first module, unless the user chose how many', () => {
    const few = threadsOn(2);
    expect(few).toBeGreaterThan(4);
    expect([threadsOn(12) - few, threadsOn(12, '3') - few]).toEqual([8, -1]);
  });
});
