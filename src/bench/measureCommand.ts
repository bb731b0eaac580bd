import { refuseNoProgram } from './command/program.js';
import type { Measurement, MeasureOptions } from './command/measurement.js';
import { runBehindShell } from './command/runBehindShell.js';
import { runDirectly } from './command/runDirectly.js';

/**
 * Runs a command and tells what it cost. Energy is the whole machine's in that time. On Linux the command's processes are ended, by
 * SIGTERM and then by SIGKILL, when this one is killed.
 * @throws UserError `command-not-found` when there is no such program.
 */
export async function measureCommand(command: readonly string[], options: MeasureOptions = {}): Promise<Measurement> {
  refuseNoProgram(command, options);
  const run = process.platform === 'linux' ? runBehindShell : runDirectly;
  try {
    return await run(command, options);
  } finally {
    options.meter?.close();
  }
}
