import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/build.ts',
    // Of a slow machine, with two at a time.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Most tests run the command, which uses all cores for half of its time.
    maxWorkers: 2,
    // No test writes into its user's cache, or reads what an earlier run left; those that open a session by themselves send nothing.
    env: { ORT_DISABLE_TELEMETRY: '1', ORT_TL_CACHE: mkdtempSync(join(tmpdir(), 'ort-tl-test-cache-')) },
  },
});
