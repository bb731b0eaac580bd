import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVitest, type TestSpecification, type Vitest } from 'vitest/node';
import type { Verdict } from './heldTests.js';
import { type Mutant, mutated } from './mutants.js';

/** What the process that holds the tests is asked: to run those of `tests` with the mutant, or without any. */
export interface Question {
  readonly tests: readonly string[];
  readonly mutant?: Mutant;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A path as Vite names modules, with slashes on every system. */
const moduleAt = (path: string) => join(root, path).replaceAll('\\', '/');

let current: Mutant | undefined;
const vitest = await createVitest(
  'test',
  { root, watch: false, bail: 1, reporters: [{}], maxWorkers: 1, testTimeout: 60_000 },
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
  for (const path of tests) {
    const specifications = found.get(path) ?? (await vitest.globTestSpecifications([path]));
    found.set(path, specifications);
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
    const [module] = testModules.filter((each) => !each.ok());
    if (module) {
      const [test] = module.children.allTests('failed');
      return { failed: true, by: test ? `${module.relativeModuleId}: ${test.fullName}` : module.relativeModuleId };
    }
    if (unhandledErrors.length > 0) return { failed: true, by: `${path}: ${String(unhandledErrors[0])}` };
  }
  return { failed: false };
}
