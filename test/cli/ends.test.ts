import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { cli, folder, main } from './cli.js';

/** Runs the command after a script that changes what Node.js gives it. */
function after(script: string, ...args: string[]) {
  const file = join(folder(), 'before.mjs');
  writeFileSync(file, script);
  const words = ['--import', pathToFileURL(file).href, main, ...args];
  return spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 60_000 });
}

it('a command that waits for what can never come says so and exits with 1, not with 13 and without a word', () => {
  const { status, stdout, stderr } = after(
    `import files from 'node:fs/promises';
    import { syncBuiltinESMExports } from 'node:module';
    files.readdir = () => new Promise(() => undefined);
    syncBuiltinESMExports();`,
    ...['cache', 'ls', '--cache', folder()],
  );
  expect([status, stdout]).toEqual([1, '']);
  // Node.js warns of it too, in further lines.
  const own = stderr.split('\n').filter((line) => line.startsWith('ort-tl: '));
  expect(own).toEqual(['ort-tl: something broke that should not: a part of the work has ended without an answer']);
});

it('a command that ends keeps the exit code that it has given itself', () => {
  const exits = (code: number) => after('', 'measure', '--idle', '0', '--', 'sh', '-c', `exit ${code}`);
  expect([0, 1, 13, 41].map((code) => exits(code).status)).toEqual([0, 1, 13, 41]);
  expect(exits(13).stderr).not.toContain('something broke');
});

it('a training whose lines cannot be written any more saves its work, and ends in order', async () => {
  const pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 4, valPerClass: 2, size: 32, seed: 1 });
  const out = join(folder(), 'run');
  const train = ['train', '--model', SMALL_CNN, '--data', pictures, '--policy', 'full', '--epochs', '6', '--out', out];
  const { status, stderr } = after(
    `const { write } = process.stdout;
    process.stdout.write = (text, ...more) => {
      if (!/^epoch +2[/]/.test(text)) return write.call(process.stdout, text, ...more);
      process.stdout.emit('error', Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
      return false;
    };`,
    ...train,
  );
  expect(stderr).toMatch(/^ort-tl: cannot write the result: ENOSPC: no space left on device; free some space$/m);
  expect(status).toBe(2);
  expect(cli(['train', '--resume', out]).status).toBe(0);
});
