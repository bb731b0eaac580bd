import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { findRapl, RaplMeter, type RaplZone } from '../../src/energy/rapl.js';
import { powercap, simulate } from './powercap.js';
import { stoppedClock } from './stoppedClock.js';

const zonesOf = (root: string): readonly RaplZone[] => {
  const found = findRapl(root);
  if (found.kind !== 'readable') throw new Error(found.reason);
  return found.zones;
};

describe('findRapl', () => {
  it('finds packages, what lies inside them, and psys; only packages are added up', () => {
    const { root } = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 5 },
      'intel-rapl:0:0': { name: 'core', energyUj: 4 },
      'intel-rapl:0:1': { name: 'uncore', energyUj: 1 },
      'intel-rapl:0:2': { name: 'dram', energyUj: 1 },
      'intel-rapl:1': { name: 'package-1', energyUj: 5 },
      'intel-rapl:1:0': { name: 'dram', energyUj: 1 },
      'intel-rapl:2': { name: 'psys', energyUj: 20 },
    });
    expect(zonesOf(root).map(({ name, nested }) => [name, nested])).toEqual([
      ['package-0', false],
      ['package-0/core', true],
      ['package-0/uncore', true],
      ['package-0/dram', true],
      ['package-1', false],
      ['package-1/dram', true],
      ['psys', true],
    ]);
  });

  it('says that there is nothing to measure with where the tree is missing or empty', () => {
    expect(findRapl(join(tmpdir(), 'no-such-tree'))).toMatchObject({ kind: 'absent' });
    expect(findRapl(powercap({}).root)).toMatchObject({ kind: 'absent' });
  });

  it('says that there is nothing to add up where no package is among the counters', () => {
    const { root } = powercap({ 'intel-rapl:0': { name: 'psys', energyUj: 5 } });
    expect(findRapl(root)).toEqual({ kind: 'absent', reason: `${root} shows no package zone that can be read` });
  });

  it.skipIf(process.seteuid === undefined)('names the remedy where only root may read', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 5 },
      'intel-rapl:1': { name: 'package-1', energyUj: 5 },
    });
    tree.deny('intel-rapl:1');
    const inside = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 5 },
      'intel-rapl:0:0': { name: 'core', energyUj: 5 },
    });
    inside.deny('intel-rapl:0:0');
    const isRoot = process.getuid?.() === 0;
    // Root itself is refused nothing.
    if (isRoot) process.seteuid?.(65534);
    try {
      const found = findRapl(tree.root);
      expect(found).toMatchObject({ kind: 'denied' });
      expect(found.kind === 'denied' && found.reason).toMatch(
        /intel-rapl:1\/energy_uj may be read by root alone.*sudo chmod a\+r/,
      );
      // What is only shown may be missing.
      expect(findRapl(inside.root)).toMatchObject({
        kind: 'readable',
        zones: [{ name: 'package-0' }],
        unreadable: ['package-0/core'],
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it('leaves out a zone that has no name, and one that tells no range', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 5 },
      'intel-rapl:1': { name: 'package-1', energyUj: 5 },
      'intel-rapl:2': { name: 'package-2', energyUj: 5, rangeUj: 0 },
    });
    rmSync(join(tree.root, 'intel-rapl:1', 'name'));
    expect(findRapl(tree.root)).toMatchObject({
      kind: 'readable',
      zones: [{ name: 'package-0', nested: false }],
      unreadable: ['package-2'],
    });
  });

  it('lists zones by their numbers, packages before what lies inside them', () => {
    const names = ['intel-rapl:10', 'intel-rapl:2:0', 'intel-rapl:2', 'intel-rapl:2:10', 'intel-rapl:2:9'];
    const { root } = powercap(
      Object.fromEntries(names.map((name) => [name, { name: `package-${name}`, energyUj: 1 }])),
    );
    expect(zonesOf(root).map(({ name }) => name)).toEqual([
      'package-intel-rapl:2',
      'package-intel-rapl:2/package-intel-rapl:2:0',
      'package-intel-rapl:2/package-intel-rapl:2:9',
      'package-intel-rapl:2/package-intel-rapl:2:10',
      'package-intel-rapl:10',
    ]);
  });

  it('tells dies and platforms of the same name apart, and names the zones that give no number', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0-die-0', energyUj: 5 },
      'intel-rapl:0:0': { name: 'core', energyUj: 5 },
      'intel-rapl:1': { name: 'package-0-die-1', energyUj: 5 },
      'intel-rapl:2': { name: 'psys', energyUj: 5 },
      'intel-rapl:3': { name: 'psys', energyUj: 5 },
    });
    tree.remove('intel-rapl:0:0');
    const found = findRapl(tree.root);
    expect(found.kind === 'readable' && found.zones.map(({ name }) => name)).toEqual([
      'package-0-die-0',
      'package-0-die-1',
      'psys',
      'psys#2',
    ]);
    expect(found.kind === 'readable' && found.unreadable).toEqual(['package-0-die-0/core']);
  });
});

describe('RaplMeter', () => {
  it('adds up a known power curve over many wraps, to the microjoule', () => {
    const rangeUj = 10_000_000;
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 9_000_000, rangeUj },
      'intel-rapl:0:0': { name: 'core', energyUj: 100, rangeUj },
      'intel-rapl:1': { name: 'package-1', energyUj: 0, rangeUj },
    });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    // Power rises and falls: 1 to 9 J between two polls of the first package, a constant 4 J of the second.
    let [first, second, core] = [9_000_000, 0, 100];
    let expected = 0;
    for (let poll = 0; poll < 500; poll++) {
      const used = 1_000_000 + Math.round(8_000_000 * Math.sin(poll / 40) ** 2);
      first = (first + used) % rangeUj;
      second = (second + 4_000_000) % rangeUj;
      core = (core + used / 2) % rangeUj;
      expected += used + 4_000_000;
      tree.set('intel-rapl:0', first);
      tree.set('intel-rapl:1', second);
      tree.set('intel-rapl:0:0', Math.round(core));
      meter.read();
    }
    const { totalJ, joules, notes } = meter.stop();
    expect(totalJ).toBeCloseTo(expected / 1e6, 6);
    expect(joules.get('package-1')).toBeCloseTo(2000, 6);
    // The cores are shown, and not added.
    expect(joules.get('package-0/core')).toBeGreaterThan(0);
    expect(notes).toEqual([]);
  });

  it('sees the wraps of a small counter by itself, in time', async () => {
    const rangeUj = 200_000;
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0, rangeUj } });
    const meter = new RaplMeter(zonesOf(tree.root));
    // At a thousand watts 0.2 J last 0.2 ms: as often as a timer can.
    expect(meter.intervalMs).toBe(1);
    expect(
      new RaplMeter(zonesOf(powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } }).root)).intervalMs,
    ).toBe(1000);
    meter.start();
    let total = 0;
    for (let tick = 0; tick < 40; tick++) {
      total += 90_000;
      tree.set('intel-rapl:0', total % rangeUj);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(meter.stop().totalJ).toBeCloseTo(total / 1e6, 6);
  });

  it('says so when a zone goes away, and does not fail', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 0 },
      'intel-rapl:1': { name: 'package-1', energyUj: 0 },
    });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    tree.set('intel-rapl:0', 3_000_000);
    tree.remove('intel-rapl:1');
    const { totalJ, notes } = meter.stop();
    expect(totalJ).toBe(3);
    expect(notes).toEqual(['the counter of package-1 went away while it was measured']);
  });

  it('adds up what a running process counts over many wraps', async () => {
    const rangeUj = 100_000_000;
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0, rangeUj } });
    const [zone] = zonesOf(tree.root);
    const simulation = await simulate(join(zone?.folder ?? '', 'energy_uj'), {
      ...{ watts: 300, swing: 250, period: 0.7, rangeUj },
    });
    const meter = new RaplMeter(zonesOf(tree.root));
    // The process counts on between a look of the test and one of the meter, and tells its sum after its counter.
    const next = async () => {
      const last = simulation.totalJ();
      return vi.waitUntil(() => simulation.totalJ() > last && simulation.totalJ(), { interval: 1, timeout: 10_000 });
    };
    const begins = [simulation.totalJ()];
    meter.start();
    begins.push(await next());
    while (simulation.totalJ() < Math.max(...begins) + 900) await new Promise((resolve) => setTimeout(resolve, 20));
    const ends = [simulation.totalJ()];
    const { totalJ, notes } = meter.stop();
    ends.push(await next());
    simulation.stop();
    expect(totalJ).toBeGreaterThan(Math.min(...ends) - Math.max(...begins) - 1e-5);
    expect(totalJ).toBeLessThan(Math.max(...ends) - Math.min(...begins) + 1e-5);
    expect(notes).toEqual([]);
  });

  it('goes on where a read fails once, and where a zone is taken away and put back', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 1_000_000 },
      'intel-rapl:1': { name: 'package-1', energyUj: 200_000_000_000 },
    });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    // Nothing in the file: as a register that cannot be read just then.
    tree.write('intel-rapl:0', '');
    tree.remove('intel-rapl:1');
    expect(meter.read().notes).toEqual([
      'the counter of package-0 went away while it was measured',
      'the counter of package-1 went away while it was measured',
    ]);
    tree.set('intel-rapl:0', 4_000_000);
    // The socket was without power: 200 kJ more to wrap could not have been used in no time.
    tree.set('intel-rapl:1', 2_000_000);
    const { joules, notes } = meter.stop();
    expect(joules.get('package-0')).toBe(3);
    expect(joules.get('package-1')).toBe(2);
    expect(notes).toEqual(['the counter of package-1 began anew while it was measured: some of its energy is missing']);
  });

  it('polls twice while the smallest counter wraps at a thousand watts, once a second at the least', () => {
    const meterOf = (rangeUj: number) =>
      new RaplMeter(zonesOf(powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0, rangeUj } }).root));
    expect(meterOf(100_000_000).intervalMs).toBe(50);
    expect(meterOf(1_999_000_000).intervalMs).toBe(999.5);
    expect(meterOf(2_002_000_000).intervalMs).toBe(1000);
  });

  it('says nothing of what is shown and not added: cores whose counter begins anew or goes away', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 0 },
      'intel-rapl:0:0': { name: 'core', energyUj: 200_000_000_000 },
      'intel-rapl:0:1': { name: 'dram', energyUj: 0 },
    });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    tree.set('intel-rapl:0:0', 1_000_000);
    tree.remove('intel-rapl:0:1');
    const { joules, notes } = meter.stop();
    expect(joules.get('package-0/core')).toBe(1);
    expect(notes).toEqual([]);
  });

  it('takes a counter for begun anew where it moved on by more than a thousand watts could', () => {
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    // What takes more than three minutes at a thousand watts.
    tree.set('intel-rapl:0', 200_000_000_000);
    const { totalJ, notes } = meter.stop();
    expect(totalJ).toBe(0);
    expect(notes).toEqual(['the counter of package-0 began anew while it was measured: some of its energy is missing']);
  });

  it('counts from 0 what begins anew, however little lower it stands', () => {
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 5_000_000 } });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    tree.set('intel-rapl:0', 4_999_999);
    expect(meter.stop().totalJ).toBe(4.999999);
  });

  it('polls no more once it is stopped, where it was started twice too', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const meter = new RaplMeter(zonesOf(powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } }).root));
    meter.start();
    meter.start();
    expect(vi.getTimerCount()).toBe(1);
    meter.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('begins anew at each start, without the notes and the energy of before', () => {
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    tree.set('intel-rapl:0', 200_000_000_000);
    expect(meter.stop().notes).toHaveLength(1);
    meter.start();
    tree.set('intel-rapl:0', 200_003_000_000);
    expect(meter.stop()).toMatchObject({ totalJ: 3, notes: [] });
  });

  it('adds up packages, and shows cores, memory and psys without adding them', () => {
    const tree = powercap({
      'intel-rapl:0': { name: 'package-0', energyUj: 0 },
      'intel-rapl:0:0': { name: 'core', energyUj: 0 },
      'intel-rapl:0:1': { name: 'dram', energyUj: 0 },
      'intel-rapl:1': { name: 'psys', energyUj: 0 },
    });
    const meter = new RaplMeter(zonesOf(tree.root));
    meter.start();
    tree.set('intel-rapl:0', 10_000_000);
    tree.set('intel-rapl:0:0', 7_000_000);
    tree.set('intel-rapl:0:1', 2_000_000);
    tree.set('intel-rapl:1', 20_000_000);
    const { joules, totalJ } = meter.stop();
    expect(totalJ).toBe(10);
    expect(Object.fromEntries(joules)).toEqual({ 'package-0': 10, 'package-0/core': 7, 'package-0/dram': 2, psys: 20 });
  });

  it.each([
    // Twice 1000 J last 2 s at a thousand watts.
    [1_000_000_000, 2000, undefined],
    [1_000_000_000, 2001, '2 s'],
    [1_000_000_000, 90_000, '90 s'],
    // Counters are late by up to a second, however small they are.
    [100_000_000, 1000, undefined],
    [100_000_000, 1001, '1 s'],
  ])(
    'says so when nobody looked for so long that a wrap may have passed unseen: a range of %d µJ, %d ms',
    (rangeUj, ms, told) => {
      const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0, rangeUj } });
      const meter = new RaplMeter(zonesOf(tree.root));
      const clock = stoppedClock();
      meter.start();
      clock.monotonicMs = ms;
      tree.set('intel-rapl:0', 50_000_000);
      const { totalJ, notes } = meter.stop();
      expect(totalJ).toBe(50);
      expect(notes).toEqual(
        told ? [`the counter of package-0 was not looked at for ${told}, in which it may have wrapped unseen`] : [],
      );
    },
  );

  it.each([
    [1000, []],
    [1500, ['the counter of package-0 could not be read for 1.5 s']],
    [60_000, ['the counter of package-0 could not be read for 60.0 s']],
  ])('says so when a counter gave no number for more than a second: %d ms', (ms, told) => {
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 0 } });
    const meter = new RaplMeter(zonesOf(tree.root));
    const clock = stoppedClock();
    meter.start();
    tree.write('intel-rapl:0', '');
    clock.monotonicMs = ms / 2;
    meter.read();
    tree.set('intel-rapl:0', 3_000_000);
    clock.monotonicMs = ms;
    expect(meter.stop()).toMatchObject({ totalJ: 3, notes: told });
  });

  it.each([
    // A thousand watts for the second that passed, and for another by which counters may be late.
    ['as much as can be', 1000, 0, 2_000_000_000, 2000],
    ['a microjoule more', 1000, 0, 2_000_000_001, 0],
    ['as much as can be while the machine slept', 1000, 9000, 10_000_000_000, 10_000],
    ['a microjoule more while it slept', 1000, 9000, 10_000_000_001, 0],
    ['as much as can be while the time was set back', 1000, -3_600_000, 2_000_000_000, 2000],
  ])('counts what could have been used in the time: %s', (_, monotonicMs, wallMs, usedUj, expectedJ) => {
    const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 7 } });
    const meter = new RaplMeter(zonesOf(tree.root));
    const clock = stoppedClock();
    meter.start();
    clock.monotonicMs += monotonicMs;
    clock.wallMs += wallMs;
    tree.set('intel-rapl:0', 7 + usedUj);
    expect(meter.stop().totalJ).toBe(expectedJ);
  });
});
