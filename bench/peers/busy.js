// What else a machine has to do: a process that keeps one core busy.
import { spawn } from 'node:child_process';

/** It says so once it runs, and ends when this process has ended, however that did. */
const BUSY = `process.stdout.write('busy\\n', () => {
  const parent = process.ppid;
  for (let turn = 1; ; turn++) if (turn % 1e6 === 0 && process.ppid !== parent) process.exit();
});`;

/**
 * Does `run` beside a process that always has something to compute, on whichever core the system gives it.
 * @template T
 * @param {() => Promise<T>} run
 */
export async function besideBusyProcess(run) {
  const busy = spawn(process.execPath, ['-e', BUSY], { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = () => busy.kill('SIGKILL');
  process.on('exit', end);
  try {
    await new Promise((resolve, reject) => {
      busy.stdout.once('data', resolve);
      busy.once('error', reject);
      busy.once('exit', () => reject(new Error('the busy process ended before anything was measured')));
    });
    const result = await run();
    if (busy.exitCode !== null || busy.signalCode !== null) throw new Error('the busy process ended too early');
    return result;
  } finally {
    process.off('exit', end);
    if (busy.exitCode === null && busy.signalCode === null) {
      const ended = new Promise((resolve) => busy.once('exit', resolve));
      end();
      await ended;
    }
  }
}
