import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileErrorCode } from '../files.js';

/** Where Linux shows RAPL's counters (Documentation/power/powercap/powercap.rst). AMD's processors have the same names there. */
export const POWERCAP = '/sys/class/powercap';

/** One counter of energy. */
export interface RaplZone {
  /** `package-0`, `psys`; of a zone inside another, with that one's name: `package-0/core`. */
  readonly name: string;
  readonly folder: string;
  /** Where the counter begins again at 0, in microjoules. */
  readonly rangeUj: number;
  /** Whether the zone counts what another zone counts too: all but the packages. */
  readonly nested: boolean;
}

export type RaplAccess =
  | { readonly kind: 'readable'; readonly zones: readonly RaplZone[] }
  | { readonly kind: 'absent' | 'denied'; readonly reason: string };

/** How to let everyone read the counters until the next start of the machine. */
export const GRANT =
  'sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj /sys/class/powercap/intel-rapl*/intel-rapl*/energy_uj';

/** The counters under `root`, or why there are none to read. */
export function findRapl(root = POWERCAP): RaplAccess {
  let entries: string[];
  try {
    entries = readdirSync(root).filter((entry) => /^intel-rapl:\d+(:\d+)?$/.test(entry));
  } catch {
    entries = [];
  }
  // The same counters are shown again through memory-mapped registers (intel-rapl-mmio), which is left out.
  if (entries.length === 0)
    return {
      kind: 'absent',
      reason: `${root} shows no RAPL counters: a virtual machine, a container or a processor without them`,
    };

  const nameOf = new Map<string, string>();
  for (const entry of entries) {
    const name = readText(join(root, entry, 'name'));
    if (name !== undefined) nameOf.set(entry, name);
  }
  const zones: RaplZone[] = [];
  let denied: string | undefined;
  for (const entry of entries.sort(byNumbers)) {
    const own = nameOf.get(entry);
    if (own === undefined) continue;
    const parent = /^(intel-rapl:\d+):\d+$/.exec(entry)?.[1];
    const folder = realpathSync(join(root, entry));
    const range = Number(readText(join(folder, 'max_energy_range_uj')) ?? NaN);
    try {
      readCounter(folder);
    } catch (thrown) {
      const code = fileErrorCode(thrown);
      if (code === 'EACCES' || code === 'EPERM') denied ??= join(root, entry, 'energy_uj');
      continue;
    }
    if (!(range > 0)) continue;
    const name = parent === undefined ? own : `${nameOf.get(parent) ?? parent}/${own}`;
    zones.push({ name, folder, rangeUj: range, nested: parent !== undefined || !own.startsWith('package') });
  }
  if (zones.some(({ nested }) => !nested)) return { kind: 'readable', zones };
  if (denied !== undefined)
    return {
      kind: 'denied',
      reason: `${denied} may be read by root alone (since CVE-2020-8694); allow it with: ${GRANT}`,
    };
  return { kind: 'absent', reason: `${root} shows no package zone that can be read` };
}

/** Joules of each zone since the meter was started. */
export interface RaplReading {
  readonly joules: ReadonlyMap<string, number>;
  /** Of all packages together: what a run is charged with. */
  readonly packageJ: number;
  /** Why the figures are not whole, where a zone went away. */
  readonly lost?: string;
}

/** A package draws less than this; with it a counter's wraps are counted in time. */
const MOST_WATTS = 1000;

/**
 * Adds up RAPL's counters, polled often enough to see every wrap: a counter that stands lower than before has begun anew
 * once. The poll does not keep the process alive.
 */
export class RaplMeter {
  private readonly last = new Map<RaplZone, number>();
  private readonly totals = new Map<RaplZone, number>();
  private timer: NodeJS.Timeout | undefined;
  private lost: string | undefined;

  constructor(readonly zones: readonly RaplZone[]) {}

  start(): void {
    for (const zone of this.zones) {
      this.totals.set(zone, 0);
      this.last.set(zone, readCounter(zone.folder));
    }
    this.timer = setInterval(() => {
      this.poll();
    }, this.intervalMs).unref();
  }

  /** Milliseconds between two polls: half of what the smallest counter needs to wrap at the most power, at most a second. */
  get intervalMs(): number {
    const smallest = Math.min(...this.zones.map(({ rangeUj }) => rangeUj));
    return Math.max(1, Math.min(1000, smallest / MOST_WATTS / 1000 / 2));
  }

  read(): RaplReading {
    this.poll();
    const joules = new Map([...this.totals].map(([{ name }, uj]) => [name, uj / 1e6]));
    const packageJ = [...this.totals].reduce((sum, [{ nested }, uj]) => sum + (nested ? 0 : uj / 1e6), 0);
    return { joules, packageJ, ...(this.lost === undefined ? {} : { lost: this.lost }) };
  }

  stop(): RaplReading {
    clearInterval(this.timer);
    return this.read();
  }

  private poll(): void {
    for (const zone of this.zones) {
      const before = this.last.get(zone);
      if (before === undefined) continue;
      let now: number;
      try {
        now = readCounter(zone.folder);
      } catch {
        // A socket was taken offline, or the driver unloaded.
        this.last.delete(zone);
        if (!zone.nested) this.lost ??= `the counter of ${zone.name} went away while it was measured`;
        continue;
      }
      const used = now >= before ? now - before : now + zone.rangeUj - before;
      this.totals.set(zone, (this.totals.get(zone) ?? 0) + used);
      this.last.set(zone, now);
    }
  }
}

/** Microjoules. */
function readCounter(folder: string): number {
  const text = readFileSync(join(folder, 'energy_uj'), 'utf8');
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new Error(`${folder}/energy_uj holds no number`);
  return value;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function byNumbers(a: string, b: string): number {
  const numbers = (entry: string) => entry.split(':').slice(1).map(Number);
  const [x, y] = [numbers(a), numbers(b)];
  return (x[0] ?? 0) - (y[0] ?? 0) || (x[1] ?? -1) - (y[1] ?? -1);
}
