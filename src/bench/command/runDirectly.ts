import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { CarefulMeter } from './carefulMeter.js';
import { envOf, letLifelineBreak, lifelineOf } from './childLifeline.js';
import { attend } from './commandSignals.js';
import { closeOf, stdioOf } from './commandStreams.js';
import type { Measurement, MeasureOptions } from './measurement.js';

/** Where the command has the other end of the lifeline. */
const LIFELINE_AT = 3;

/** Runs a command where there is no /proc, and measures wall-clock and energy alone. */
export async function runDirectly(command: readonly string[], options: MeasureOptions): Promise<Measurement> {
  const energy = new CarefulMeter(options);
  await energy.start();
  const began = performance.now();
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: envOf(options, LIFELINE_AT),
    stdio: [...stdioOf(options), ...lifelineOf(options)],
  });
  const exited = new Promise<[number | null, NodeJS.Signals | null]>((done, fail) => {
    child.once('error', fail);
    child.once('exit', (...how) => {
      done(how);
    });
  });
  const closed = closeOf(child, options, child.stderr);
  letLifelineBreak(child, LIFELINE_AT);
  const processes = () => (child.pid === undefined ? [] : [child.pid]);
  const [code, signal] = await attend(options, processes, processes, exited);
  const wallSeconds = (performance.now() - began) / 1000;
  const energyRead = await energy.stop(null);
  await closed;
  return {
    command,
    exitCode: code ?? 128 + (signal ? constants.signals[signal] : 0),
    signal,
    wallSeconds,
    userSeconds: null,
    systemSeconds: null,
    peakRssBytes: null,
    readBytes: null,
    writtenBytes: null,
    ...energyRead,
    notes: ['CPU seconds, memory and bytes of storage are told by /proc, which Linux alone has'],
  };
}
