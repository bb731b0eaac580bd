import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const module = (name: string) => JSON.stringify(new URL(`../dist/${name}.js`, import.meta.url).href);

function run(script: string): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
}

describe('onExit', () => {
  it('undoes what is left, the last first, and goes on where one fails', () => {
    const { stdout, status } = run(`
      import { onExit } from ${module('onExit')};
      onExit(() => console.log('first'));
      onExit(() => { throw new Error('no'); });
      const done = onExit(() => console.log('done before'));
      onExit(() => console.log('last'));
      done();
      process.exit(7);
    `);
    expect(stdout).toBe('last\nfirst\n');
    expect(status).toBe(7);
  });

  it('leaves no part of a file when the process exits while it is written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ort-tl-exit-'));
    const path = join(folder, 'a', 'model.onnx');
    run(`
      import { writeFileAtomically } from ${module('files')};
      import { existsSync, readdirSync } from 'node:fs';
      void writeFileAtomically(${JSON.stringify(path)}, new Uint8Array(5e7), new Uint8Array(5e7));
      const look = setInterval(() => {
        if (existsSync(${JSON.stringify(join(folder, 'a'))}) && readdirSync(${JSON.stringify(join(folder, 'a'))}).length > 0) process.exit(1);
      }, 1);
    `);
    expect(existsSync(join(folder, 'a'))).toBe(true);
    expect(readdirSync(join(folder, 'a'))).toEqual([]);
  });
});
