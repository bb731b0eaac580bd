import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { besideBusyProcess } from '../../bench/peers/busy.js';

const isLinux = process.platform === 'linux';

/** The processes whose parent is `parent`, ended ones that nobody has waited for left out, and how long each has computed, in hundredths of a second. */
function childrenOf(parent: number): { pid: number; computed: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        const [state, ppid] = [fields[0], Number(fields[1])];
        return ppid === parent && state !== 'Z' ? [{ pid: Number(name), computed: Number(fields[11]) }] : [];
      } catch {
        return [];
      }
    });
}

const isRunning = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

it.runIf(isLinux)('keeps a core busy as long as something is measured, and no longer', async () => {
  const before = new Set(childrenOf(process.pid).map(({ pid }) => pid));
  const busy = await besideBusyProcess(async () => {
    const [found] = childrenOf(process.pid).filter(({ pid }) => !before.has(pid));
    if (!found) throw new Error('nothing is busy');
    const computed = () => childrenOf(process.pid).find(({ pid }) => pid === found.pid)?.computed ?? 0;
    while (computed() < found.computed + 5) await setTimeout(10);
    return found.pid;
  });
  expect(isRunning(busy)).toBe(false);
});

it('hands on what fails beside it', async () => {
  await expect(besideBusyProcess(() => Promise.reject(new Error('no such model')))).rejects.toThrow('no such model');
});

it.runIf(isLinux)('ends with a measuring process that is killed', async () => {
  const script = fileURLToPath(new URL('../../bench/peers/busy.js', import.meta.url));
  const code = `import { besideBusyProcess } from ${JSON.stringify(script)};
    await besideBusyProcess(() => new Promise(() => { console.log('"measuring"'); setInterval(() => {}, 1000); }));`;
  const measuring = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(measuring.stdout, 'data');
  const [busy] = childrenOf(z.number().parse(measuring.pid));
  if (!busy) throw new Error('nothing is busy');
  measuring.kill('SIGKILL');
  await once(measuring, 'exit');
  // It looks for its parent now and then; the test's own limit of time ends the wait.
  while (isRunning(busy.pid)) await setTimeout(20);
});
