import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from '../../src/random.js';
import { type Mutant, mutantsOf, showMutant } from './mutants.js';
import { HeldTests } from './heldTests.js';

const HELP = `npm run test:mutation -- [flags]

Changes src/ in memory, one small change at a time, and runs the tests that should notice. Prints how many changes failed a test (killed),
and the line and the change of each that did not (survived). A change with which the program does the same counts as a survivor.

  --folder policy    the folder of src/ that is changed; the tests are those of the same folder in test/, and what TESTS names
  --file glob.ts     the files of it whose path holds this
  --sample 200       so many changes, drawn by the seed; all, unless it is given
  --seed 0
  --part 1/3         a third of the sample, in an order of its own; the parts together are the sample
  --verbose          also tells which test killed each
  --list             prints the changes and runs nothing`;

/** What tests a folder of src beside the folder of the same name in test. */
const TESTS: Readonly<Record<string, readonly string[]>> = {
  optim: ['test/train/pytorch.test.ts'],
  graph: ['test/autodiff/rules.test.ts', 'test/artifacts/compile.test.ts'],
  autodiff: ['test/train/pytorch.test.ts'],
};
/** A change whose tests take so many times as long as without it, and this much more, is taken to never end: killed. */
const SLOWER = 5;
const GRACE_MS = 20_000;

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: 'policy' },
    file: { type: 'string', default: '' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '0' },
    part: { type: 'string', default: '1/1' },
    verbose: { type: 'boolean', default: false },
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
  const tests = [`test/${values.folder}/`, ...(TESTS[values.folder] ?? [])].filter((path) =>
    existsSync(join(root, path)),
  );
  const held = new HeldTests();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      held.close();
      process.exit(130);
    });
  try {
    // The first run also loads what all of them need.
    for (let run = 0; run < 2; run++) await ownPace(held, tests);
    const limitMs = GRACE_MS + SLOWER * (await ownPace(held, tests));
    const survivors: Mutant[] = [];
    for (const [at, mutant] of mutants.entries()) {
      const verdict = await held.run({ tests, mutant }, limitMs);
      const killed = verdict === undefined || verdict.failed;
      if (!killed) survivors.push(mutant);
      const by = verdict?.by ?? 'not ending';
      if (!killed || values.verbose)
        console.log(
          `${at + 1}/${mutants.length} ${killed ? 'killed' : 'survived'}  ${showMutant(mutant)}${killed ? `  by ${by}` : ''}`,
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

/** Milliseconds of the tests without any mutant. @throws where one of them fails. */
async function ownPace(held: HeldTests, tests: readonly string[]): Promise<number> {
  const began = performance.now();
  const verdict = await held.run({ tests }, 300_000);
  if (!verdict) throw new Error('the tests do not end within five minutes');
  if (verdict.failed) throw new Error(`a test fails without any change: ${verdict.by}`);
  return performance.now() - began;
}
