import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createVitest,
  type TestCase,
  type TestModule,
  type TestSequencer,
  type TestSpecification,
  type Vitest,
} from 'vitest/node';
import type { Verdict } from './heldTests.js';
import { type Mutant, mutated } from './mutants.js';

/** What the process that holds the tests is asked: to run those of `tests`, in this order, with the mutant, or without any. */
export interface Question {
  readonly tests: readonly string[];
  readonly mutant?: Mutant;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A path as Vite names modules, with slashes on every system. */
const moduleAt = (path: string) => join(root, path).replaceAll('\\', '/');

/** Leaves test files in the order in which they were asked for. */
class AsAsked implements TestSequencer {
  shard = (files: TestSpecification[]) => Promise.resolve(files);
  sort = (files: TestSpecification[]) => Promise.resolve(files);
}

/** What the run of now has told so far; Vitest's own list holds what files gave in earlier runs, too. */
class Run {
  readonly failed: string[] = [];
  readonly times: Record<string, number> = {};

  hearOfTest(test: TestCase): void {
    if (test.result().state === 'failed') this.failed.push(`${test.module.relativeModuleId}: ${test.fullName}`);
  }

  hearOfFile(module: TestModule): void {
    if (!module.ok()) this.failed.push(module.relativeModuleId);
    const { collectDuration, duration } = module.diagnostic();
    this.times[module.relativeModuleId] = collectDuration + duration;
  }
}

let current: Mutant | undefined;
let run = new Run();
const vitest = await createVitest(
  'test',
  {
    root,
    watch: false,
    bail: 1,
    reporters: [
      {
        onTestCaseResult: (test) => {
          run.hearOfTest(test);
        },
        onTestModuleEnd: (module) => {
          run.hearOfFile(module);
        },
      },
    ],
    maxWorkers: 1,
    // One process for all files of a run, which load what they share once; the next run has another.
    isolate: false,
    sequence: { sequencer: AsAsked },
    testTimeout: 60_000,
  },
  {
    logLevel: 'silent',
    plugins: [
      {
        name: 'mutant',
        enforce: 'pre',
        load: (id) =>
          current && id === moduleAt(current.path) ? mutated(readFileSync(id, 'utf8'), current) : undefined,
      },
    ],
  },
);
const found = new Map<string, TestSpecification[]>();

process.on('message', (question: Question) => {
  void answer(vitest, question).then((verdict) => process.send?.(verdict));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');

async function answer(vitest: Vitest, { tests, mutant }: Question): Promise<Verdict> {
  for (const each of [current, mutant]) if (each) vitest.invalidateFile(moduleAt(each.path));
  current = mutant;
  const specifications: TestSpecification[] = [];
  for (const path of tests) {
    const known = found.get(path) ?? (await vitest.globTestSpecifications([path]));
    found.set(path, known);
    specifications.push(...known);
  }
  run = new Run();
  const { unhandledErrors } = await vitest.runTestSpecifications(specifications);
  const { failed, times } = run;
  const [by = unhandledErrors.length > 0 ? String(unhandledErrors[0]) : undefined] = failed;
  // Files of which nothing was heard, as when their process ended, are none that passed.
  const isWhole = specifications.every(({ moduleId }) => relative(root, moduleId).replaceAll('\\', '/') in times);
  return { failed: by !== undefined || !isWhole, by, times };
}
