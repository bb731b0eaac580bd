import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The file of what runs in a process or a thread of its own: a bundle in `dist/bin/` (see `rolldown.config.ts`), which this package finds
 * by its own name, from wherever this module was put.
 */
export function entryPoint(
  name: 'compilerProcess' | 'main' | 'parentWatch' | 'probe' | 'sessionWorker' | 'stepWorker' | 'worker',
): string {
  return createRequire(import.meta.url).resolve(`ort-tl/bin/${name}`);
}

/** Something else that this package has, by its path from the package's own folder on. */
export function packagePath(...parts: readonly string[]): string {
  return join(dirname(createRequire(import.meta.url).resolve('ort-tl/package.json')), ...parts);
}
