import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? sources(join(folder, entry.name)) : [join(folder, entry.name)],
  );

/** What a machine can run out of: the codes of a MachineError are a type. */
function machineLimits(): string[] {
  const [, union = ''] = /type MachineLimit =([^;]+);/.exec(readFileSync(join(root, 'src', 'errors.ts'), 'utf8')) ?? [];
  return [...union.matchAll(/'([a-z-]+)'/g)].flatMap(([, code]) => code ?? []);
}

it('docs/errors.md names every error code of the source, and no other', () => {
  const limits = machineLimits();
  expect(limits).toContain('out-of-files');
  const thrown = new Set(
    sources(join(root, 'src')).flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/UserError\(\s*'([a-z-]+)'|^ +code: '(bad-[a-z-]+)',$/gm)].map(
        ([, thrown, ofSetting]) => thrown ?? ofSetting,
      ),
    ),
  );
  const codes = new Set([...thrown, ...limits]);
  const rows = readFileSync(join(root, 'docs', 'errors.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  const named = new Set(
    rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([a-z-]+)`/g)].map(([, code]) => code)),
  );
  expect([...named].sort()).toEqual([...codes].sort());
});
