import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** Files that have a name in common still; none is to be added. */
const SHARED_BY_FILES = ['classify', 'compile'];
/** Exported types that have a name in common still; none is to be added. */
const SHARED_BY_TYPES: readonly string[] = [];

interface Source {
  readonly path: string;
  readonly text: string;
}

/** Names that stand in several files, without those that are known. */
function doubled(sources: readonly Source[], namesOf: (source: Source) => readonly string[]): string[] {
  const files = new Map<string, string[]>();
  for (const source of sources)
    for (const name of namesOf(source)) files.set(name, [...(files.get(name) ?? []), source.path]);
  return [...files].filter(([, paths]) => paths.length > 1).map(([name, paths]) => `${name}: ${paths.join(', ')}`);
}

const fileName = ({ path }: Source) => [basename(path).replace(/\..*$/, '')];

/** The types that a file exports where it declares them: interfaces, aliases, classes and enumerations. */
function exportedTypes({ path, text }: Source): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023);
  const names = file.statements.flatMap((statement) =>
    (ts.isInterfaceDeclaration(statement) ||
      ts.isTypeAliasDeclaration(statement) ||
      ts.isClassDeclaration(statement) ||
      ts.isEnumDeclaration(statement)) &&
    statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
      ? (statement.name?.text ?? [])
      : [],
  );
  return [...new Set(names)];
}

const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.[jt]s$/.test(path) && !path.endsWith('onnx_pb.ts'))
  .map((path) => ({ path: path.replaceAll('\\', '/'), text: readFileSync(join(src, path), 'utf8') }));
const nameOf = (line: string) => line.slice(0, line.indexOf(':'));
const others = (lines: readonly string[], known: readonly string[]) =>
  lines.filter((line) => !known.includes(nameOf(line)));

describe('one name, one thing', () => {
  it('no two files of src have one name', () => {
    const found = doubled(sources, fileName);
    expect(others(found, SHARED_BY_FILES)).toEqual([]);
    expect(SHARED_BY_FILES.filter((name) => !found.some((line) => nameOf(line) === name))).toEqual([]);
  });

  it('no two files of src export a type of one name', () => {
    const found = doubled(sources, exportedTypes);
    expect(others(found, SHARED_BY_TYPES)).toEqual([]);
    expect(SHARED_BY_TYPES.filter((name) => !found.some((line) => nameOf(line) === name))).toEqual([]);
  });

  it('finds files of one name in two folders', () => {
    const [a, b, c] = ['a/one.ts', 'b/one.js', 'b/two.ts'].map((path) => ({ path, text: '' }));
    if (!a || !b || !c) throw new Error('no files');
    expect(doubled([a, b, c], fileName)).toEqual(['one: a/one.ts, b/one.js']);
  });

  it.each(['interface One {}', 'type One = 1;', 'abstract class One {}', 'enum One {}'])(
    'finds a second "%s"',
    (text) => {
      const first = { path: 'a.ts', text: 'export interface One {}' };
      expect(doubled([first, { path: 'b.ts', text: `export ${text}` }], exportedTypes)).toEqual(['One: a.ts, b.ts']);
      expect(doubled([first, { path: 'b.ts', text }], exportedTypes)).toEqual([]);
    },
  );

  it('a schema and its type may have one name in one file', () => {
    const text = 'export interface One {}\nexport interface One {}\nexport const One = 1;\n';
    expect(doubled([{ path: 'a.ts', text }], exportedTypes)).toEqual([]);
  });
});
