import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A powercap tree as the kernel makes it: links in class/powercap to folders of the device tree, zones inside zones. */
export function powercap(zones: Record<string, { name: string; energyUj: number; rangeUj?: number }>): {
  root: string;
  set: (zone: string, uj: number) => void;
  write: (zone: string, text: string) => void;
  remove: (zone: string) => void;
  deny: (zone: string) => void;
} {
  const base = mkdtempSync(join(tmpdir(), 'ort-tl-powercap-'));
  // The kernel's folders are everyone's to look at.
  chmodSync(base, 0o755);
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
    write: (zone, text) => {
      writeFileSync(energy(zone), text);
    },
    remove: (zone) => {
      rmSync(energy(zone));
    },
    deny: (zone) => {
      chmodSync(energy(zone), 0o000);
    },
  };
}

/** Joules that have been counted so far, and the end of it. */
export interface Simulation {
  totalJ(): number;
  stop(): void;
}

/** A process that lets the counter at `path` run as a load does that draws `watts + swing · sin(2π · t / period)`. */
export async function simulate(
  path: string,
  { watts, swing = 0, period = 1, rangeUj }: { watts: number; swing?: number; period?: number; rangeUj: number },
): Promise<Simulation> {
  const beside = mkdtempSync(join(tmpdir(), 'ort-tl-simulation-'));
  const child = spawn(process.execPath, [
    '-e',
    `const { renameSync, writeFileSync } = require('node:fs');
    const write = (path, text) => { writeFileSync('${beside}/next', text); renameSync('${beside}/next', path); };
    const turn = ${2 * Math.PI} / ${period};
    const tick = () => {
      const t = performance.now() / 1000;
      const uj = 1e6 * (${watts} * t + (${swing} / turn) * (1 - Math.cos(turn * t)));
      write('${path}', Math.floor(uj % ${rangeUj}) + '\\n');
      write('${beside}/total', String(uj / 1e6));
    };
    tick();
    console.log('runs');
    setInterval(tick, 1);`,
  ]);
  await once(child.stdout, 'data');
  return {
    totalJ: () => Number(readFileSync(join(beside, 'total'), 'utf8')),
    stop: () => {
      child.kill();
    },
  };
}
