import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { measureCommand } from '../../src/bench/measureCommand.js';
import { findMeter } from '../../src/energy/meter.js';

const node = (program: string) => [process.execPath, '-e', program];
/** Counts until this much CPU time is used. */
const busy = (seconds: number) =>
  `const used = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; }; while (used() < ${seconds});`;
const quiet = { stdio: 'ignore' } as const;

describe('measureCommand', () => {
  it('tells how a command ended, and refuses one that is not there', async () => {
    expect(await measureCommand(node('process.exit(3)'), quiet)).toMatchObject({ exitCode: 3, signal: null });
    await expect(measureCommand(['no-such-program'])).rejects.toThrow(/no program `no-such-program` on the path/);
    await expect(measureCommand([tmpdir()])).rejects.toThrow(/is no program that can be run/);
    const { energy, energyNotMeasured } = await measureCommand(node(''), { ...quiet, noMeter: 'nobody asked' });
    expect([energy, energyNotMeasured]).toEqual([null, 'nobody asked']);
  });

  it('runs in another folder and environment, and hands over the lines of both outputs', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'ort-tl-'));
    const lines: string[] = [];
    await measureCommand(
      node('console.log(process.cwd()); console.error(process.env.WORD); process.stdout.write("end")'),
      {
        ...{ cwd, env: { ...process.env, WORD: 'said' } },
        onLine: (line, stream) => lines.push(`${stream} ${line}`),
      },
    );
    expect(lines.sort()).toEqual(['stderr said', `stdout ${cwd}`, 'stdout end'].sort());
  });

  it.skipIf(process.platform !== 'linux')(
    'counts what all descendants used, and estimates joules from it',
    async () => {
      const meter = await findMeter({ energy: 'estimate', watts: 10 });
      if (meter.kind === 'none') throw new Error(meter.reason);
      // A process of 0.3 s starts two, one after another, of as much each.
      const child = `require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(busy(0.3))}]);`;
      const { userSeconds, systemSeconds, energy } = await measureCommand(node(`${busy(0.3)} ${child} ${child}`), {
        ...{ ...quiet, meter: meter.open() },
      });
      const cpuSeconds = (userSeconds ?? NaN) + (systemSeconds ?? NaN);
      // Counted in hundredths of a second; each process takes a little to start and to end.
      expect(cpuSeconds).toBeGreaterThan(0.85);
      expect(energy).toMatchObject({ estimated: true, grossJ: cpuSeconds * 10 });
    },
  );

  it.skipIf(process.platform !== 'linux')('tells the memory of all processes together', async () => {
    const hold = 'const held = Buffer.alloc(100e6, 1);';
    const child = `require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(`${hold} setTimeout(() => held, 500)`)}]);`;
    const { peakRssBytes } = await measureCommand(node(`${hold} ${child} held;`), quiet);
    expect(peakRssBytes).toBeGreaterThan(200e6);
    expect(peakRssBytes).toBeLessThan(600e6);
  });

  it.skipIf(process.platform !== 'linux')('counts what is written through to storage', async () => {
    // tmpfs has no storage below it.
    const cwd = mkdtempSync(join(process.cwd(), 'node_modules', '.ort-tl-'));
    const program = `const fs = require('node:fs'); const file = fs.openSync('data', 'w'); fs.writeSync(file, Buffer.alloc(3e6)); fs.fsyncSync(file); fs.rmSync(${JSON.stringify(cwd)}, { recursive: true })`;
    const { writtenBytes } = await measureCommand(node(program), { ...quiet, cwd });
    expect(writtenBytes).toBeGreaterThanOrEqual(3e6);
  });

  it.skipIf(process.platform === 'win32')('ends a command by what aborts it, children and all', async () => {
    const patient = node(`require('node:child_process').spawnSync('sleep', ['100'])`);
    expect(await measureCommand(patient, { ...quiet, signal: AbortSignal.timeout(300) })).toMatchObject({
      ...{ exitCode: 143, signal: 'SIGTERM' },
    });
  });

  it.skipIf(process.platform === 'win32')('passes on every signal that it is told to', async () => {
    const polite = node(
      `let times = 0; process.on('SIGINT', () => ++times === 2 ? process.exit(7) : console.log('once')); setInterval(() => {}, 1000); console.log('listening')`,
    );
    const lines: string[] = [];
    let send: ((name: NodeJS.Signals) => void) | undefined;
    const onLine = (line: string) => {
      lines.push(line);
      send?.('SIGINT');
    };
    expect(await measureCommand(polite, { onStart: (pass) => (send = pass), onLine })).toMatchObject({
      ...{ exitCode: 7, signal: null },
    });
    expect(lines).toEqual(['listening', 'once']);
  });

  it.skipIf(process.platform === 'win32')('keeps a signal that comes too early for the first process', async () => {
    const sleeper = node(`setInterval(() => {}, 1000)`);
    const onStart = (send: (name: NodeJS.Signals) => void) => send('SIGTERM');
    // Where it is lost, that is once in some thirty times.
    for (let time = 0; time < 60; time++)
      expect(await measureCommand(sleeper, { ...quiet, onStart })).toMatchObject({ exitCode: 143, signal: 'SIGTERM' });
  });

  it('does not wait for what a command leaves running in the background', async () => {
    const lines: string[] = [];
    const left = `require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20000)'], { stdio: 'inherit', detached: true }).unref(); console.log('done')`;
    const { wallSeconds } = await measureCommand(node(left), { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(['done']);
    expect(wallSeconds).toBeLessThan(15);
  });
});
