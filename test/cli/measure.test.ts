import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { IdleBaseline, Measurement, Spread } from '../../src/internal.js';
import { powercap, simulate } from '../energy/powercap.js';
import { cli, cliHere, expectRefusal, folder, main } from './cli.js';

interface Report {
  readonly idle: IdleBaseline | null;
  readonly runs: readonly Measurement[];
  readonly spreads: Readonly<Record<string, Spread | null>>;
}
const nowhere = ['--powercap', join(folder(), 'none')];
const node = (program: string) => ['--', process.execPath, '-e', program];

describe('measure', () => {
  it('leaves a command its input, outputs, flags and exit code, and tells on standard error what it cost', () => {
    const { status, stdout, stderr } = cli([
      ...['measure', ...nowhere, '--energy', 'rapl'],
      ...node('console.log(process.argv[1]); process.exitCode = 5'),
      ...['--', '--debug'],
    ]);
    expect(status).toBe(5);
    expect(stdout).toBe('--debug\n');
    expect(stderr).toMatch(/wall-clock +\d/);
    expect(stderr).toMatch(/energy, gross +not measured/);
    expect(stderr).toMatch(/energy not measured: .* shows no RAPL counters/);
    expect(stderr).toContain('exit code 5');
  });

  it('prints medians and ranges of repeated runs, and stops at one that fails', () => {
    const args = ['measure', '--json', '--energy', 'estimate', '--watts', '10', '--repeat', '3'];
    const { status, stdout, stderr } = cli([...args, ...node('console.log("hello")')]);
    expect(status).toBe(0);
    expect(stderr).toBe('hello\n'.repeat(3));
    const { runs, spreads } = JSON.parse(stdout) as Report;
    expect(runs).toHaveLength(3);
    expect(spreads['wallSeconds']).toMatchObject({ count: 3 });
    const failing = cli([...args, ...node('process.exit(1)')]);
    expect(failing.status).toBe(1);
    expect((JSON.parse(failing.stdout) as Report).runs).toHaveLength(1);
  });

  it('says in one line that there is no such command, or none at all', async () => {
    const missing = cli(['measure', ...nowhere, '--', 'no-such-program']);
    expect(missing.status).toBe(127);
    expect(missing.stderr).toBe('ort-tl: there is no program `no-such-program` on the path; give it with its folder\n');
    expectRefusal(await cliHere(['measure']), /expected a command behind two dashes/);
    expectRefusal(await cliHere(['measure', '--idle', 'soon', '--', 'true']), /a duration such as .*`soon` \(--idle\)/);
    expectRefusal(await cliHere(['measure', '--repeat', '0', '--', 'true']), /a whole number from 1 up/);
    expectRefusal(await cliHere(['measure', '--energy', 'estimate', '--', 'true']), /\(--watts\)/);
  });

  it.skipIf(process.platform !== 'linux')(
    'reads the counters of a running machine, and takes its idle power off',
    async () => {
      const rangeUj = 50_000_000;
      const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0, rangeUj } });
      const simulation = await simulate(join(tree.root, 'intel-rapl:0', 'energy_uj'), { watts: 100, rangeUj });
      const { stdout } = cli([
        ...['measure', '--json', '--energy', 'rapl', '--powercap', tree.root, '--idle', '1s'],
        ...node('setTimeout(() => {}, 2000)'),
      ]);
      const counted = simulation.totalJ();
      simulation.stop();
      const { idle, runs } = JSON.parse(stdout) as Report;
      const energy = runs[0]?.energy;
      if (!energy || !idle || energy.idleJ === null) throw new Error(stdout);
      // At 100 W, within what the process that counts may be late by.
      expect(idle.watts).toBeGreaterThan(80);
      expect(idle.watts).toBeLessThan(120);
      expect(energy.grossJ / energy.seconds).toBeGreaterThan(80);
      expect(energy.grossJ).toBeLessThan(counted);
      expect(energy.idleJ).toBeCloseTo(idle.watts * energy.seconds, 6);
      expect(energy.netJ).toBeCloseTo(energy.grossJ - energy.idleJ, 6);
    },
  );

  it.skipIf(process.platform === 'win32')('passes Ctrl-C on, and prints the figures so far', async () => {
    const program = `process.on('SIGINT', () => process.exit(9)); setInterval(() => {}, 1000); console.log('runs')`;
    const child = spawn(process.execPath, [main, 'measure', ...nowhere, '--repeat', '5', ...node(program)]);
    const errors = text(child.stderr);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([9, null]);
    expect(await errors).toMatch(/1 runs? +median[^]*exit code 9/);
  });

  it.skipIf(process.platform === 'win32')('passes a second Ctrl-C on too', async () => {
    const program = `let times = 0; process.on('SIGINT', () => ++times === 2 ? process.exit(9) : console.log('once')); setInterval(() => {}, 1000); console.log('runs')`;
    const child = spawn(process.execPath, [main, 'measure', ...nowhere, ...node(program)]);
    for (let times = 0; times < 2; times++) {
      await once(child.stdout, 'data');
      child.kill('SIGINT');
    }
    expect(await once(child, 'close')).toEqual([9, null]);
  });

  it.skipIf(process.platform !== 'linux')(
    'leaves no process of the command behind when it is killed itself',
    async () => {
      const program = `const child = require('node:child_process').spawn('sleep', ['1000']); console.log(process.pid, child.pid); setInterval(() => {}, 1000)`;
      const child = spawn(process.execPath, [main, 'measure', ...nowhere, ...node(program)]);
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
      child.kill('SIGKILL');
      await once(child, 'exit');
      const lives = (pid: string) =>
        existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      const pids = line.trim().split(' ');
      expect(pids).toHaveLength(2);
      while (pids.some(lives)) await sleep(50);
    },
  );
});
