import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const module = (name: string) => JSON.stringify(new URL(`../../dist/${name}.js`, import.meta.url).href);

/** Runs a program that an interruption is open in, and sends it a signal for each line `ready`. */
function run(program: string, signal: NodeJS.Signals) {
  const file = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'program.mjs');
  writeFileSync(
    file,
    `
    import { Worker } from 'node:worker_threads';
    import { Interruption, listenToSignals } from ${module('cli/interruption')};
    import { onExit } from ${module('onExit')};
    listenToSignals();
    onExit(() => console.log('undone'));
    const interruption = new Interruption((what) => console.log(what), 'saving', () => ['do so']);
    /** For longer than any patience, and in native code, as a step of a large model is. */
    const work = () => new Worker("require('child_process').execSync('sleep 30')", { eval: true });
    ${program}`,
  );
  return new Promise<{ code: number | null; signal: string | null; lines: string[] }>((resolve) => {
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout.on('data', (text: Buffer) => {
      printed += text.toString();
      if (text.toString().includes('ready')) child.kill(signal);
    });
    child.on('exit', (code, by) => {
      resolve({ code, signal: by, lines: printed.trim().split('\n') });
    });
  });
}

describe.skipIf(process.platform === 'win32')('an interruption', () => {
  it('ends by itself with the code that shells have for the signal', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const ended = await run(
        `const alive = setInterval(() => undefined, 1000);
        interruption.signal.addEventListener('abort', () => {
          clearInterval(alive);
          process.exitCode = interruption.exitCode;
          interruption.close();
        });
        console.log('ready');`,
        signal,
      );
      expect(ended).toEqual({
        code,
        signal: null,
        lines: ['ready', 'saving; press Ctrl-C again to stop at once', 'undone'],
      });
    }
  });

  it('ends at once at the second signal, whatever a worker does, with everything undone', async () => {
    const ended = await run(
      `work().on('online', () => console.log('ready'));
      interruption.signal.addEventListener('abort', () => console.log('ready'));`,
      'SIGTERM',
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(ended.lines.at(-1)).toBe('undone');
  });

  it('ends when its time is up, though something goes on, and says what can be done', async () => {
    const ended = await run(`work().on('online', () => console.log('ready'));`, 'SIGINT');
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT' });
    expect(ended.lines.slice(2)).toEqual(['this takes too long; what was saved before is kept; do so', 'undone']);
  });

  it('ends when its time is up also where the verb thinks that it has ended, and has left something open', async () => {
    const ended = await run(
      `setInterval(() => undefined, 1000);
      interruption.signal.addEventListener('abort', () => interruption.close());
      console.log('ready');`,
      'SIGINT',
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT' });
  });
});
