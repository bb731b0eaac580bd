import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRapl, RaplMeter, type RaplZone } from '../../src/energy/rapl.js';

/** A powercap tree as the kernel makes it: links in class/powercap to folders of the device tree, zones inside zones. */
function powercap(zones: Record<string, { name: string; energyUj: number; rangeUj?: number }>): {
  root: string;
  set: (zone: string, uj: number) => void;
  remove: (zone: string) => void;
  deny: (zone: string) => void;
} {
  const base = mkdtempSync(join(tmpdir(), 'ort-tl-powercap-'));
  const root = join(base, 'class', 'powercap');
  mkdirSync(root, { recursive: true });
  const folderOf = (zone: string) => {
    const parent = /^(intel-rapl:\d+):\d+$/.exec(zone)?.[1];
    return join(base, 'devices', 'virtual', 'powercap', 'intel-rapl', ...(parent ? [parent] : []), zone);
  };
  const energy = (zone: string) => join(folderOf(zone), 'energy_uj');
  for (const [zone, { name, energyUj, rangeUj = 262_143_328_850 }] of Object.entries(zones)) {
    mkdirSync(folderOf(zone), { recursive: true });
    writeFileSync(join(folderOf(zone), 'name'), `${name}\n`);
    writeFileSync(energy(zone), `${energyUj}\n`);
    writeFileSync(join(folderOf(zone), 'max_energy_range_uj'), `${rangeUj}\n`);
    symlinkSync(folderOf(zone), join(root, zone));
  }
  // The control type itself, and the second way to the same counters.
  mkdirSync(join(root, 'intel-rapl'));
  mkdirSync(join(root, 'intel-rapl-mmio:0'));
  return {
    root,
    set: (zone, uj) => {
      writeFileSync(energy(zone), `${uj}\n`);
    },
    remove: (zone) => {
      rmSync(energy(zone));
    },
    deny: (zone) => {
      chmodSync(energy(zone), 0o000);
    },
  };
}

const zonesOf = (root: string): readonly RaplZone[] => {
  const found = findRapl(root);
  if (found.kind !== 'readable') throw new Error(found.reason);
  return found.zones;
};

describe('findRapl', () => {
  it('finds packages, what lies inside them, and psys; only packages and their memory are no part of another', () => {
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
      ['package-0/dram', false],
      ['package-1', false],
      ['package-1/dram', false],
      ['psys', true],
    ]);
  });

  it('says that there is nothing to measure with where the tree is missing or empty', () => {
    expect(findRapl(join(tmpdir(), 'no-such-tree'))).toMatchObject({ kind: 'absent' });
    expect(findRapl(powercap({}).root)).toMatchObject({ kind: 'absent' });
  });

  it.skipIf(process.getuid?.() === 0)(
    'names the remedy where only root may read (root itself cannot be refused)',
    () => {
      const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 5 } });
      tree.deny('intel-rapl:0');
      const found = findRapl(tree.root);
      expect(found).toMatchObject({ kind: 'denied' });
      expect(found.kind === 'denied' && found.reason).toMatch(
        /intel-rapl:0\/energy_uj may be read by root alone.*sudo chmod a\+r/,
      );
    },
  );
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
});
