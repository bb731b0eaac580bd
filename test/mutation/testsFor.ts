import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/**
 * Test files that take more than a few seconds each: they train, measure, run commands or convert models of many kinds. They import nearly all
 * of src, and would notice some changes that no other test notices; `--slow` asks them too.
 */
const SLOW =
  /^test\/(?:backend|bench|cli|data|docs(?!\/settings)|fuzz|kill|package|train|vendor|zoo)\/|^test\/(?:artifacts\/zoo|export\/inference|recommend\/recommendPolicy|runtime\/(?:stepper|telemetry))\.test\.ts$/;

const root = fileURLToPath(new URL('../..', import.meta.url));
const closures = new Map<string, ReadonlySet<string>>();

/** The test files, from the repository's root, that import the source file, by themselves or through what they import. */
export function testsThatImport(path: string, isSlowToo: boolean): string[] {
  return allTests().filter((test) => (isSlowToo || !SLOW.test(test)) && closureOf(test).has(path));
}

let tests: readonly string[] | undefined;
const allTests = (): readonly string[] =>
  (tests ??= readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => `test/${path.replaceAll('\\', '/')}`)
    .sort());

/** The file and all that it imports, types aside. */
function closureOf(path: string): ReadonlySet<string> {
  const known = closures.get(path);
  if (known) return known;
  const closure = new Set([path]);
  for (const each of closure) for (const imported of importsOf(each)) closure.add(imported);
  closures.set(path, closure);
  return closure;
}

const imports = new Map<string, readonly string[]>();

function importsOf(path: string): readonly string[] {
  const known = imports.get(path);
  if (known) return known;
  const { importedFiles } = ts.preProcessFile(readFileSync(join(root, path), 'utf8'));
  const found = importedFiles
    .filter(({ fileName }) => fileName.startsWith('.') && fileName.endsWith('.js'))
    .map(({ fileName }) => join(dirname(path), fileName).replaceAll('\\', '/').replace(/\.js$/, '.ts'))
    .filter((each) => each.startsWith('src/') || each.startsWith('test/'))
    .filter((each) => ts.sys.fileExists(join(root, each)));
  imports.set(path, found);
  return found;
}
