import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    // No test writes into its user's cache, or reads what an earlier run left.
    env: { ORT_TL_CACHE: mkdtempSync(join(tmpdir(), 'ort-tl-test-cache-')) },
  },
});
