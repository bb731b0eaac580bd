import { constants } from 'node:os';
import { CarefulMeter } from './carefulMeter.js';
import { attend } from './commandSignals.js';
import type { Measurement, MeasureOptions } from './measurement.js';
import { PeakMemory } from './peakMemory.js';
import { childSeconds, isCopyOf, processTree, storageBytes } from './processTree.js';
import { WaitingShell } from './waitingShell.js';

/** Runs a command on Linux, and measures what the kernel counts of it and of all that it starts and waits for. */
export async function runBehindShell(command: readonly string[], options: MeasureOptions): Promise<Measurement> {
  const shell = new WaitingShell(command, options);
  const { pid } = shell;
  await shell.answer();
  const storageBefore = pid === undefined ? undefined : storageBytes(pid);

  const energy = new CarefulMeter(options);
  await energy.start();
  const began = performance.now();
  shell.run();
  const watch = Number(await shell.answer());
  const processes = () => (pid === undefined ? [] : processTree(pid).filter((each) => each !== pid && each !== watch));
  const memory = new PeakMemory(processes);
  // The shell's copy, before it runs the command, would drop a signal.
  const begun = () => processes().filter((each) => pid !== undefined && !isCopyOf(each, pid));
  const answer = await attend(options, processes, begun, shell.answer());
  const wallSeconds = (performance.now() - began) / 1000;
  const peakRssBytes = memory.stop();
  const cpu = pid === undefined ? undefined : childSeconds(pid);
  const storage = pid === undefined ? undefined : storageBytes(pid);
  const energyRead = await energy.stop(cpu ? cpu.user + cpu.system : null);
  await shell.end();
  // Without an answer the shell itself was killed, and the command's fate is unknown.
  const exitCode = answer === undefined ? 128 + constants.signals.SIGKILL : Number(answer);
  return {
    command,
    exitCode,
    signal: signalOf(exitCode),
    wallSeconds,
    userSeconds: cpu?.user ?? null,
    systemSeconds: cpu?.system ?? null,
    peakRssBytes,
    readBytes: storage && storageBefore ? storage.read - storageBefore.read : null,
    writtenBytes: storage && storageBefore ? storage.written - storageBefore.written : null,
    ...energyRead,
    notes: [
      ...(cpu ? [] : ['CPU seconds: /proc does not tell those of the command']),
      ...(peakRssBytes === null ? ['memory: the command ended too soon to be looked at'] : []),
      ...(storage && storageBefore ? [] : ['bytes of storage: /proc/PID/io cannot be read here']),
    ],
  };
}

const isSignal = (name: string | undefined): name is NodeJS.Signals =>
  name !== undefined && Object.hasOwn(constants.signals, name);

/** The signal that a shell's exit code stands for. */
function signalOf(exitCode: number): NodeJS.Signals | null {
  const name = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
  return isSignal(name) ? name : null;
}
