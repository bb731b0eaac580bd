import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileErrorCode } from '../files.js';

/** Where Linux shows RAPL's counters (Documentation/power/powercap/powercap.rst). AMD's processors have the same names there. */
const POWERCAP = '/sys/class/powercap';

/** One counter of energy. */
export interface RaplZone {
  /** `package-0`, `psys`; of a zone inside another, with that one's name: `package-0/core`. */
  readonly name: string;
  readonly folder: string;
  /** Where the counter begins again at 0, in microjoules. */
  readonly rangeUj: number;
  /** Whether the zone lies inside another, or holds others: all but the packages, which alone are added up. */
  readonly nested: boolean;
}

export type RaplAccess =
  | {
      readonly kind: 'readable';
      readonly zones: readonly RaplZone[];
      /** Zones that are there and give no number. */
      readonly unreadable: readonly string[];
    }
  | { readonly kind: 'absent' | 'denied'; readonly reason: string };

/** How to let everyone read the counters: until the next start of the machine; docs/energy.md has a rule that lasts. */
const GRANT =
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
  const unreadable: string[] = [];
  let denied: string | undefined;
  for (const entry of entries.sort(byNumbers)) {
    const own = nameOf.get(entry);
    if (own === undefined) continue;
    const parent = /^(intel-rapl:\d+):\d+$/.exec(entry)?.[1];
    const plain = parent === undefined ? own : `${nameOf.get(parent) ?? parent}/${own}`;
    const alike = zones.filter(({ name }) => name === plain || name.startsWith(`${plain}#`)).length;
    const name = alike === 0 ? plain : `${plain}#${alike + 1}`;
    const nested = parent !== undefined || !own.startsWith('package');
    try {
      const folder = realpathSync(join(root, entry));
      const rangeUj = Number(readText(join(folder, 'max_energy_range_uj')) ?? NaN);
      readCounter(folder);
      if (!(rangeUj > 0)) throw new Error(`${folder} tells no range`);
      zones.push({ name, folder, rangeUj, nested });
    } catch (thrown) {
      const code = fileErrorCode(thrown);
      if (!nested && (code === 'EACCES' || code === 'EPERM')) denied ??= join(root, entry, 'energy_uj');
      unreadable.push(name);
    }
  }
  // With one package of two the sum would be another quantity.
  if (denied !== undefined)
    return {
      kind: 'denied',
      reason: `${denied} may be read by root alone (since CVE-2020-8694); allow it with: ${GRANT}; docs/energy.md has a udev rule that lasts`,
    };
  if (zones.some(({ nested }) => !nested)) return { kind: 'readable', zones, unreadable };
  return { kind: 'absent', reason: `${root} shows no package zone that can be read` };
}

/** What a meter's counters gave since it was started. */
export interface CounterReading {
  /** Joules of each zone. */
  readonly joules: ReadonlyMap<string, number>;
  /** The sum over zones that do not count what another counts. */
  readonly totalJ: number;
  /** Why the figures are not whole, or how they came about. */
  readonly notes: readonly string[];
}

/** A package draws less than this; with it a counter's wraps are counted in time. */
const MOST_WATTS = 1000;
/** Counters move once a millisecond or so, in steps: how much earlier than its reading an energy may have been used. */
const SLACK_SECONDS = 1;

interface ZoneState {
  lastUj: number;
  totalUj: number;
  /** When `lastUj` was read. */
  at: Moment;
  missing: boolean;
}

/**
 * Adds up RAPL's counters, polled often enough to see every wrap. A counter that stands lower than before has wrapped once, if the
 * energy of that could have been used since; otherwise it began anew, as after a suspend that cut its power. The poll does not keep
 * the process alive; where it came too late to be sure of every wrap, the reading says so.
 */
export class RaplMeter {
  private readonly states = new Map<RaplZone, ZoneState>();
  private readonly notes = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  constructor(readonly zones: readonly RaplZone[]) {}

  /** @throws Error where a counter cannot be read. */
  start(): void {
    this.stopPolling();
    this.notes.clear();
    for (const zone of this.zones)
      this.states.set(zone, { lastUj: readCounter(zone.folder), totalUj: 0, at: now(), missing: false });
    this.timer = setInterval(() => {
      this.poll();
    }, this.intervalMs).unref();
  }

  /** Milliseconds between two polls: half of what the smallest counter needs to wrap at the most power, at most a second. */
  get intervalMs(): number {
    const smallest = Math.min(...this.zones.map(({ rangeUj }) => rangeUj));
    return Math.max(1, Math.min(1000, smallest / MOST_WATTS / 1000 / 2));
  }

  read(): CounterReading {
    this.poll();
    const states = [...this.states];
    const lost = states.flatMap(([{ name, nested }, { missing }]) =>
      missing && !nested ? [`the counter of ${name} went away while it was measured`] : [],
    );
    return {
      joules: new Map(states.map(([{ name }, { totalUj }]) => [name, totalUj / 1e6])),
      totalJ: states.reduce((sum, [{ nested }, { totalUj }]) => sum + (nested ? 0 : totalUj / 1e6), 0),
      notes: [...this.notes, ...lost],
    };
  }

  stop(): CounterReading {
    this.stopPolling();
    return this.read();
  }

  private stopPolling(): void {
    clearInterval(this.timer);
  }

  private poll(): void {
    for (const [zone, state] of this.states) {
      let uj: number;
      try {
        uj = readCounter(zone.folder);
      } catch {
        // A socket was taken offline, the driver unloaded, or the register gave nothing this once.
        state.missing = true;
        continue;
      }
      const at = now();
      this.add(zone, state, uj, secondsBetween(state.at, at));
      Object.assign(state, { lastUj: uj, at, missing: false });
    }
  }

  private add(zone: RaplZone, state: ZoneState, uj: number, seconds: number): void {
    const mostUj = (period: number) => MOST_WATTS * period * 1e6;
    const forward = uj - state.lastUj;
    const used = forward < 0 ? forward + zone.rangeUj : forward;
    const couldBe = used <= mostUj(seconds + SLACK_SECONDS);
    state.totalUj += couldBe ? used : forward < 0 ? uj : 0;
    if (zone.nested) return;
    if (!couldBe)
      this.notes.add(`the counter of ${zone.name} began anew while it was measured: some of its energy is missing`);
    else if (state.missing && seconds > 1)
      this.notes.add(`the counter of ${zone.name} could not be read for ${seconds.toFixed(1)} s`);
    // A timer may be late by as much again without harm: no package draws what `MOST_WATTS` allows.
    if (couldBe && seconds > SLACK_SECONDS && mostUj(seconds) > 2 * zone.rangeUj)
      this.notes.add(
        `the counter of ${zone.name} was not looked at for ${seconds.toFixed(0)} s, in which it may have wrapped unseen`,
      );
  }
}

/** A point in time by two clocks: the monotonic one stands still while the machine sleeps, the other may be set. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

const now = (): Moment => ({ monotonicMs: performance.now(), wallMs: Date.now() });

const secondsBetween = (from: Moment, to: Moment): number =>
  Math.max(to.monotonicMs - from.monotonicMs, to.wallMs - from.wallMs) / 1000;

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
