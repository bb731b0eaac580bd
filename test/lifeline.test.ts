import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { measureCommand } from '../src/bench/measureCommand.js';
import { built, killed, runs, startScript, until } from './processes.js';

const pidIn = (path: string): number => {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return 0;
  }
};

/** A script whose process leaves its number in a file. */
function telling(script: string): { file: string; pid: () => number } {
  const at = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const [file, pid] = [join(at, 'script.mjs'), join(at, 'pid')];
  writeFileSync(
    file,
    `import { writeFileSync } from 'node:fs';\n${script}\nwriteFileSync(${JSON.stringify(pid)}, String(process.pid));`,
  );
  return { file, pid: () => pidIn(pid) };
}

const stays = 'setInterval(() => undefined, 1000);';

// Where processes can be looked at.
describe.skipIf(process.platform !== 'linux')('a process that was started to be measured', () => {
  const measuring = (file: string, options: string) => `
    import { measureCommand } from ${built('bench/measureCommand')};
    const running = measureCommand([process.execPath, ${JSON.stringify(file)}], ${options});
    console.log('measures');
    await running;`;
  const watching = telling(
    `import { watchLifeline } from ${built('lifeline')};\nwatchLifeline(() => process.exit(1));\n${stays}`,
  );

  it('ends when the suite that started it is killed', async () => {
    const parent = await startScript(measuring(watching.file, `{ endsWithUs: true, stdio: 'ignore' }`));
    await until(() => runs(watching.pid()));
    await killed(parent);
    await until(() => !runs(watching.pid()));
  });

  it('ends when the process that started it exits, though it knows nothing of that', async () => {
    const deaf = telling(stays);
    const script = measuring(deaf.file, `{ endsWithUs: true, stdio: 'ignore' }`);
    const parent = await startScript(script.replace('await running', `process.on('SIGUSR2', () => process.exit(7))`));
    await until(() => runs(deaf.pid()));
    parent.kill('SIGUSR2');
    await until(() => parent.exitCode !== null && !runs(deaf.pid()));
  });

  it("finds nothing of this in its environment and among its descriptors when it is another's command", async () => {
    const lines: string[] = [];
    await measureCommand(['sh', '-c', 'env; for each in /proc/self/fd/*; do echo "fd ${each##*/}"; done'], {
      onLine: (line) => lines.push(line),
    });
    expect(lines.filter((line) => line.startsWith('ORT_TL_LIFELINE'))).toEqual([]);
    expect(lines).toContain('fd 2');
    expect(lines).not.toContain('fd 5');
  });

  it('is told nothing by a variable that was left over', () => {
    const script = `
      import { watchLifeline } from ${built('lifeline')};
      watchLifeline(() => process.exit(9));
      setTimeout(() => console.log(process.env.ORT_TL_LIFELINE ?? 'none'), 50);`;
    for (const value of ['77', '', '1', 'x']) {
      const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
        env: { ...process.env, ORT_TL_LIFELINE: value },
      });
      expect([value, stdout, status]).toEqual([value, 'none\n', 0]);
    }
  });
});

it.skipIf(process.platform !== 'linux')(
  'a process that computes for another one ends when that is killed, while it is busy too',
  async () => {
    const busy = telling(`
      import { Worker } from 'node:worker_threads';
      new Worker(new URL(${built('train/parentWatch')}), { workerData: process.argv[3] }).once('online', () => {
        writeFileSync(process.argv[2], String(process.pid));
        for (;;);
      });`);
    const pid = `${busy.file}.pid`;
    const parent = await startScript(`
      import { fork } from 'node:child_process';
      fork(${JSON.stringify(busy.file)}, [${JSON.stringify(pid)}, String(process.pid)]);
      console.log('started');`);
    await until(() => runs(pidIn(pid)));
    await killed(parent);
    await until(() => !runs(pidIn(pid)));
  },
);
