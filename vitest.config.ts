import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take longest, the longest first, by a run on two cores. */
const LONGEST = [
  'docs/commands',
  'integrations/flower',
  'train/resume',
  'train/pytorch',
  'train/train',
  'train/liveHead',
  'studio/story',
  'studio/page',
  'cli/bench',
  'cli/shards',
  'export/inference',
  'fuzz/fuzz',
  'runtime/stepper',
  'train/cache',
  'recommend/recommendPolicy',
  'vendor/vendor',
  'cli/recommend',
  'cli/webgpu',
  'cli/export',
  'cli/hostileNames',
  'cli/models',
  'kill/kill',
  'cli/photos',
  'cli/disk',
  'cli/terminal',
  'cli/cli',
].map((name) => `test/${name}.test.ts`);

/** Begins with what takes longest, so that no worker is busy alone at the end: a clean checkout knows no times yet. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((name) => moduleId.replaceAll('\\', '/').endsWith(`/${name}`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

// All that tests and the commands that they run write for a time: gigabytes, gone when the last test has ended.
const temporary = mkdtempSync(join(tmpdir(), 'ort-tl-tests-'));
// Some tests run as another user.
chmodSync(temporary, 0o755);
for (const name of ['TMPDIR', 'TEMP', 'TMP']) process.env[name] = temporary;
process.on('exit', () => rmSync(temporary, { recursive: true, force: true, maxRetries: 3 }));
const cache = join(temporary, 'cache');
mkdirSync(cache);

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/build.ts',
    // Of a slow machine, with two at a time.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 20_000 } },
    // A file costs 0.8 s of processor time where each loads all modules anew. Who stubs, spies or changes folder takes it back.
    isolate: false,
    // Most tests run the command, which uses all cores for half of its time, and some wait for a cluster or a browser.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // No test writes into its user's cache, or reads what an earlier run left; those that open a session by themselves send nothing.
    env: { ORT_DISABLE_TELEMETRY: '1', ORT_TL_CACHE: cache },
  },
});
