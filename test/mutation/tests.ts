import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVitest, type TestSequencer, type TestSpecification, type Vitest } from 'vitest/node';
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

let current: Mutant | undefined;
const vitest = await createVitest(
  'test',
  {
    root,
    watch: false,
    bail: 1,
    reporters: [{}],
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
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
  const times = Object.fromEntries(
    testModules.map((each) => {
      const { collectDuration, duration } = each.diagnostic();
      return [each.relativeModuleId, collectDuration + duration];
    }),
  );
  const [module] = testModules.filter((each) => each.state() === 'failed');
  if (module) {
    const [test] = module.children.allTests('failed');
    return {
      failed: true,
      by: test ? `${module.relativeModuleId}: ${test.fullName}` : module.relativeModuleId,
      times,
    };
  }
  if (unhandledErrors.length > 0) return { failed: true, by: String(unhandledErrors[0]), times };
  // Tests that never came to an end, as when their process ended, are none that passed.
  return { failed: !testModules.every((each) => each.ok()), times };
}
