import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from '../../src/random.js';
import { type Mutant, mutantsOf, showMutant } from './mutants.js';
import { HeldTests } from './heldTests.js';
import { testsThatImport } from './testsFor.js';

const HELP = `npm run test:mutation -- [flags]

Changes src/ in memory, one small change at a time, and runs the tests that should notice. Prints how many changes failed a test (killed),
and the line and the change of each that did not (survived). A change with which the program does the same counts as a survivor.

The tests of a change are all that import the changed file, by themselves or through what they import: first those of the same folder in
test/, then the others, the quick before the slow, for fifteen seconds. --slow asks all, also those that train or run commands.

  --folder policy    the folder of src/ that is changed
  --file glob.ts     the files of it whose path holds this
  --sample 200       so many changes, drawn by the seed; all, unless it is given
  --seed 0
  --part 1/3         a third of the sample, in an order of its own; the parts together are the sample
  --verbose          also tells which test killed each
  --slow             asks all tests: minutes for each change that survives
  --list             prints the changes and runs nothing`;

/** The other folders' tests of a change take no longer than this, without it. */
const OTHERS_MS = 15_000;
/** A change whose tests take so many times as long as without it, and this much more, is taken to never end: killed. */
const SLOWER = 5;
const GRACE_MS = 12_000;

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: 'policy' },
    file: { type: 'string', default: '' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '0' },
    part: { type: 'string', default: '1/1' },
    verbose: { type: 'boolean', default: false },
    slow: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('../..', import.meta.url));

if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const [part = 1, parts = 1] = values.part.split('/').map(Number);
const mutants = sampled(allMutants(values.folder, values.file)).filter((_, at) => at % parts === part - 1);
if (mutants.length === 0) throw new Error(`src/${values.folder} has nothing to change (--folder, --file)`);
if (values.list) for (const each of mutants) console.log(showMutant(each));
else process.exitCode = await tryAll(mutants);

function allMutants(folder: string, file: string): Mutant[] {
  return readdirSync(join(root, 'src', folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `src/${folder}/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.includes(file))
    .sort()
    .flatMap((path) => mutantsOf(path, readFileSync(join(root, path), 'utf8')));
}

function sampled(all: readonly Mutant[]): Mutant[] {
  const order = new Random(Number(values.seed)).shuffle(all.map((_, at) => at));
  return [...order].slice(0, Number(values.sample ?? all.length)).flatMap((at) => all[at] ?? []);
}

/** Tries every mutant and tells what became of it; 1 where the tests fail without any. */
async function tryAll(mutants: readonly Mutant[]): Promise<number> {
  const testsOf = new Map(
    [...new Set(mutants.map(({ path }) => path))].map((path) => [path, testsThatImport(path, values.slow)]),
  );
  const held = new HeldTests();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      held.close();
      process.exit(130);
    });
  try {
    const times = await ownTimes(held, [...new Set([...testsOf.values()].flat())]);
    const quickFirst = (tests: readonly string[]) => [...tests].sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0));
    const survivors: Mutant[] = [];
    for (const [at, mutant] of mutants.entries()) {
      const tests = quickFirst(testsOf.get(mutant.path) ?? []);
      const isOwn = (test: string) => test.startsWith(`test/${values.folder}/`);
      const others = tests.filter((test) => !isOwn(test));
      const verdict =
        (await verdictOf(held, mutant, tests.filter(isOwn), times)) ??
        (await verdictOf(held, mutant, values.slow ? others : firstOf(others, times, OTHERS_MS), times));
      const killed = verdict !== undefined;
      if (!killed) survivors.push(mutant);
      if (!killed || values.verbose)
        console.log(
          `${at + 1}/${mutants.length} ${killed ? 'killed' : 'survived'}  ${showMutant(mutant)}${killed ? `  by ${verdict}` : ''}`,
        );
    }
    const killed = mutants.length - survivors.length;
    const share = ((100 * killed) / mutants.length).toFixed(1);
    console.log(
      `${mutants.length} changes of src/${values.folder}: ${killed} killed (${share} %), ${survivors.length} survived`,
    );
    return 0;
  } finally {
    held.close();
  }
}

/** The first of the tests that take `mostMs` together. */
function firstOf(tests: readonly string[], times: Readonly<Record<string, number>>, mostMs: number): string[] {
  let sumMs = 0;
  return tests.filter((test) => (sumMs += times[test] ?? 0) <= mostMs);
}

/** The first of the tests that fails with the mutant, or how else they tell of it; undefined where they do not. */
async function verdictOf(
  held: HeldTests,
  mutant: Mutant,
  tests: readonly string[],
  times: Readonly<Record<string, number>>,
): Promise<string | undefined> {
  if (tests.length === 0) return undefined;
  const limitMs = GRACE_MS + SLOWER * tests.reduce((sum, test) => sum + (times[test] ?? 0), 0);
  const verdict = await held.run({ tests, mutant }, limitMs);
  if (!verdict) return 'not ending';
  return verdict.failed ? (verdict.by ?? 'the end of its process') : undefined;
}

/** Milliseconds of each test file without any mutant. @throws where one of them fails. */
async function ownTimes(held: HeldTests, tests: readonly string[]): Promise<Readonly<Record<string, number>>> {
  const verdict = await held.run({ tests }, values.slow ? 3_600_000 : 300_000);
  if (!verdict) throw new Error('the tests do not end in time');
  if (verdict.failed) throw new Error(`a test fails without any change: ${verdict.by}`);
  if (values.verbose)
    for (const [test, ms] of Object.entries(verdict.times).sort(([, a], [, b]) => a - b))
      console.log(`${test}  ${(ms / 1000).toFixed(1)} s`);
  return verdict.times;
}
