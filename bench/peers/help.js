// How long the command takes to say what it can do.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { spreadOf } from '../../dist/bench/statistics.js';
import { CLI } from './training.js';

/** Whole processes of `ort-tl --help`, and of Node.js that does nothing, in turns. */
export async function measureHelp(times = 10) {
  const run = promisify(execFile);
  const commands = { help: [CLI, '--help'], node: ['-e', '0'] };
  /** @type {Record<keyof typeof commands, number[]>} */
  const elapsed = { help: [], node: [] };
  for (let time = 0; time <= times; time++)
    for (const name of /** @type {const} */ (['help', 'node'])) {
      const began = performance.now();
      await run(process.execPath, commands[name]);
      elapsed[name].push(performance.now() - began);
    }
  // The first one reads the files from the disk.
  return { helpMs: spreadOf(elapsed.help.slice(1)), nodeMs: spreadOf(elapsed.node.slice(1)) };
}
