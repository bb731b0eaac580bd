import { describe, expect, it } from 'vitest';
import { mutantsOf, mutated, showMutant } from './mutants.js';

/** Every text that mutants make of `text`. */
const made = (text: string) => mutantsOf('a.ts', text).map((mutant) => mutated(text, mutant));

describe('mutantsOf', () => {
  it.each<[string, readonly string[]]>([
    ['const a = b < c;', ['const a = b <= c;', 'const a = b >= c;']],
    ['const a = b === c && d;', ['const a = b === c || d;', 'const a = b !== c && d;']],
    ['const a = b + c;', ['const a = b - c;']],
    ['const a = -b;', ['const a = (b);']],
    ['const a = !b;', ['const a = (b);']],
    ['const a = 5;', ['const a = 6;', 'const a = 4;']],
    ['const a = { 1: 0 };', ['const a = { 1: 1 };', 'const a = { 1: (-1) };']],
    ['const a = true;', ['const a = false;']],
    ['const a = b ? c : d;', ['const a = true ? c : d;', 'const a = false ? c : d;']],
    ['if (a) b = c;', ['if (true) b = c;', 'if (false) b = c;', 'if (a) ;']],
    ['while (a) throw b;', ['while (false) throw b;', 'while (a) ;']],
    ['a++;', [';', 'a--;']],
    ['if (!a) throw new Error(b);', ['if (true) throw new Error(b);', 'if ((a)) throw new Error(b);']],
    ['const a = b?.[c] ?? 0;', ['const a = b?.[c] ?? 1;', 'const a = b?.[c] ?? (-1);']],
    ['const a = b[c] ?? 1;', ['const a = b[c] ?? 2;', 'const a = b[c] ?? 0;']],
  ])('makes of %s what its tests should notice', (text, expected) => {
    expect(made(text)).toEqual(expected);
  });

  it.each([
    "const a = 'b';",
    "const a = 'b' + c;",
    'type A = 1 | true;',
    'interface A { b: 1 }',
    'const a: 1 | 2 = b;',
    "import a from './a.js';",
    'const a = b ?? c;',
    'const a = b[c] ?? 0;',
    'const [a = 0, b = 0] = c;',
  ])('leaves %s alone', (text) => {
    expect(made(text)).toEqual([]);
  });

  it('tells where a change stands, and what it is, in one line', () => {
    const [first] = mutantsOf('src/a.ts', 'const a = 1;\n');
    if (!first) throw new Error('no changes');
    expect(showMutant(first)).toBe('src/a.ts:1  1  →  2');
    expect(mutantsOf('src/a.ts', '\nif (a >\n  b) c();\n').map(showMutant)).toEqual([
      'src/a.ts:2  a > b  →  true',
      'src/a.ts:2  a > b  →  false',
      'src/a.ts:2  >  →  >=',
      'src/a.ts:2  >  →  <=',
      'src/a.ts:3  c();  →  (taken away)',
    ]);
  });
});
