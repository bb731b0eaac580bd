// Bundles the command line, and what runs in processes and threads of its own, in dist/bin/: a process opens a few files in place of several
// hundred, and starts sooner. `src/entryPoint.ts` finds these files. The library in dist/ is as TypeScript wrote it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';
import { z } from 'zod';

/** What has machine code in it, and loads that by its own place. */
const EXTERNAL = /^(?:onnxruntime-node|sharp)(?:$|\/)/;

const PACKAGE = z.object({ name: z.string(), license: z.string() });

export default defineConfig([
  // What the command begins with.
  {
    input: 'src/cli/start.ts',
    platform: 'node',
    external: './main.js',
    output: { dir: 'dist/bin', format: 'cjs', entryFileNames: '[name].cjs' },
  },
  {
    input: [
      'src/cli/main.ts',
      'src/runtime/worker.ts',
      'src/runtime/probe.ts',
      'src/runtime/sessionWorker.ts',
      'src/runtime/stepWorker.ts',
      'src/train/compilerProcess.ts',
      'src/train/parentWatch.ts',
    ],
    platform: 'node',
    external: EXTERNAL,
    plugins: [licences()],
    output: { dir: 'dist/bin', format: 'esm', chunkFileNames: '[name]-[hash].js' },
  },
]);

/** Writes the licences of the packages whose code is in the bundle beside it. */
export function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
      const packages = [
        ...new Set(modules.flatMap((id) => /^.*node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id)?.[0] ?? [])),
      ];
      const source = packages
        .sort()
        .map(licenceOf)
        .join(`\n\n${'-'.repeat(80)}\n\n`);
      this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source });
    },
  };
}

function licenceOf(folder: string): string {
  const { name, license } = PACKAGE.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  return `${name} (${license})\n\n${file ? readFileSync(join(folder, file), 'utf8').trim() : ''}`.trim();
}
