import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds what workers and commands of the tests are run from, unless it is newer than all that it is made of. */
export default function build(): void {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map((path) =>
    join('src', path),
  );
  const changed = [...sources, 'package.json', 'rolldown.config.ts', 'tsconfig.build.json', 'tsconfig.json'].map(
    timeOf,
  );
  // What the build writes last.
  if (Math.max(...changed) < timeOf(join('dist', 'bin', 'LICENSES.txt'))) return;
  execFileSync('npm', ['run', 'build'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
}

const timeOf = (path: string): number => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
