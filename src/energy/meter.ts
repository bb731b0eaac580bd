import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.js';
import { fileReason } from '../files.js';
import { findNvidia, nvidiaMeter } from './nvidia.js';
import { type CounterReading, findRapl, RaplMeter } from './rapl.js';

/** Where joules come from: the processor's counters, NVIDIA's, or CPU seconds times stated watts. */
export type EnergySource = 'rapl' | 'nvidia' | 'estimate';

/** What the machine draws when nothing is measured. */
export interface IdleBaseline {
  /** How long it was looked at. */
  readonly seconds: number;
  /** The mean power of what `grossJ` adds up. */
  readonly watts: number;
  /** Watts of each zone. */
  readonly zones: Readonly<Record<string, number>>;
  /** That the machine was not idle, where it was not. */
  readonly notes: readonly string[];
}

/** Energy between a meter's start and its stop. */
export interface EnergyReading {
  readonly sources: readonly EnergySource[];
  /** Whether it was computed from a stated power, and not measured. */
  readonly estimated: boolean;
  /** Between start and stop. */
  readonly seconds: number;
  /** The whole machine's, as far as the sources see it: packages and GPUs; or the estimate. */
  readonly grossJ: number;
  /** What it would have drawn in that time anyway, and `grossJ` without that; null without a baseline. */
  readonly idleJ: number | null;
  readonly netJ: number | null;
  /** Joules of each zone: `package-0`, `package-0/core`, `package-0/dram`, `psys`, `gpu-0`. Those within others are shown, and not added. */
  readonly zones: Readonly<Record<string, number>>;
  /** What is missing, or how figures came about. */
  readonly notes: readonly string[];
}

/** A stopwatch of energy; it may be started again after it was stopped. */
export interface Meter {
  /** Such as `RAPL: package-0, package-1`. */
  readonly name: string;
  readonly sources: readonly EnergySource[];
  /** @throws UserError `no-energy` where a counter that was there cannot be read. */
  start(): Promise<void>;
  /**
   * @param cpuSeconds of the measured work, user and system, or null where nobody knows: what an estimate is computed from.
   * @throws UserError `no-energy` where nothing can be told.
   */
  stop(cpuSeconds?: number | null): Promise<EnergyReading>;
  /** Ends what a start began, where nobody wants the reading; else it does nothing. */
  close(): void;
}

export type MeterAccess =
  | { readonly kind: 'meter'; readonly describe: string; open(): Meter }
  /** `reason` says what is missing, and what to do. */
  | { readonly kind: 'none'; readonly reason: string };

export const energyChoices = ['auto', 'rapl', 'nvidia', 'estimate', 'none'] as const;
export type EnergyChoice = (typeof energyChoices)[number];

export interface MeterOptions {
  /** `auto`: every counter of the machine; `estimate` is never chosen by itself. */
  readonly energy: EnergyChoice;
  /** What one busy core draws, for `estimate`. */
  readonly watts?: number;
  /** Where Linux shows RAPL's counters, when that is not /sys/class/powercap, as in a container. */
  readonly powercap?: string;
}

/** The meter that `options` ask for, or why there is none. @throws UserError `bad-arguments` for watts that do not fit. */
export async function findMeter({ energy, watts, powercap }: MeterOptions): Promise<MeterAccess> {
  if (energy !== 'estimate' && watts !== undefined)
    throw new UserError(
      'bad-arguments',
      'the watts of a busy core are for an estimate: say ‹energy› estimate beside ‹watts›',
    );
  switch (energy) {
    case 'none':
      return { kind: 'none', reason: 'it was not asked for' };
    case 'estimate': {
      if (watts === undefined || !(watts > 0) || !Number.isFinite(watts))
        throw new UserError(
          'bad-arguments',
          `expected the watts that one busy core draws, a positive number, beside ‹energy› estimate, got \`${watts ?? 'nothing'}\` (‹watts›)`,
        );
      return found(() => new Estimate(watts));
    }
    case 'rapl':
      return accessOf([rapl(powercap)]);
    case 'nvidia':
      return accessOf([await nvidia()]);
    case 'auto':
      return accessOf([rapl(powercap), await nvidia()]);
  }
}

/** By how much, and by how many watts, power may change while the machine is idle: a GPU's is told to ±5 W. */
const STEADY_FACTOR = 1.25;
const STEADY_WATTS = 5;

/** What `meter` reads while nothing runs. @throws UserError `stopped` when the signal fires. */
export async function measureIdle(meter: Meter, seconds: number, signal?: AbortSignal): Promise<IdleBaseline> {
  const halves: EnergyReading[] = [];
  const end = () => {
    meter.close();
  };
  signal?.addEventListener('abort', end);
  try {
    for (let half = 0; half < 2; half++) {
      await meter.start();
      await sleep((seconds / 2) * 1000, undefined, signal && { signal });
      halves.push(await meter.stop(0));
    }
  } catch (thrown) {
    if (signal?.aborted) throw new UserError('stopped', 'stopped while looking at the idle machine', { cause: thrown });
    throw thrown;
  } finally {
    signal?.removeEventListener('abort', end);
    meter.close();
  }
  const [before = NaN, after = NaN] = halves.map((half) => half.grossJ / half.seconds);
  const [least, most] = [Math.min(before, after), Math.max(before, after)];
  const isSteady = most <= Math.max(least * STEADY_FACTOR, least + STEADY_WATTS);
  const lasted = halves.reduce((sum, half) => sum + half.seconds, 0);
  const wattsOf = (joules: (half: EnergyReading) => number) =>
    halves.reduce((sum, half) => sum + joules(half), 0) / lasted;
  const names = new Set(halves.flatMap(({ zones }) => Object.keys(zones)));
  return {
    seconds: lasted,
    watts: wattsOf(({ grossJ }) => grossJ),
    zones: Object.fromEntries([...names].map((name) => [name, wattsOf(({ zones }) => zones[name] ?? 0)])),
    notes: isSteady
      ? []
      : [
          `the machine was not idle before: ${before.toFixed(0)} W, then ${after.toFixed(0)} W; let it come to rest (a GPU needs some seconds after work), or look at it for longer`,
        ],
  };
}

/** `reading` with what the machine would have drawn anyway told apart. */
export function withIdle(reading: EnergyReading, idle: IdleBaseline): EnergyReading {
  const idleJ = idle.watts * reading.seconds;
  return { ...reading, idleJ, netJ: reading.grossJ - idleJ, notes: [...reading.notes, ...idle.notes] };
}

/** Counters of one kind. */
interface Counters {
  start(): void | Promise<void>;
  stop(): CounterReading | Promise<CounterReading>;
  close?(): void;
}

/** A kind of counters that is there, or why it is not. */
type Found =
  | { readonly source: EnergySource; readonly describe: string; readonly notes: readonly string[]; open(): Counters }
  | { readonly source: EnergySource; readonly reason: string };

function rapl(powercap: string | undefined): Found {
  const access = findRapl(powercap);
  if (access.kind !== 'readable') return { source: 'rapl', reason: access.reason };
  const { zones, unreadable } = access;
  return {
    source: 'rapl',
    describe: `RAPL: ${zones.map(({ name }) => name).join(', ')}`,
    notes: unreadable.map((name) => `the counter of ${name} gives no number`),
    open: () => new RaplMeter(zones),
  };
}

async function nvidia(): Promise<Found> {
  const access = await findNvidia();
  if (access.kind === 'absent') return { source: 'nvidia', reason: access.reason };
  const { gpus, property } = access;
  return {
    source: 'nvidia',
    describe: `NVIDIA: ${gpus.map(({ name, product }) => `${name} (${product})`).join(', ')}, ${property.unit === 'W' ? 'samples of its power' : 'its energy counter'}`,
    notes: [],
    open: () => nvidiaMeter(gpus, property),
  };
}

function accessOf(all: readonly Found[]): MeterAccess {
  const there = all.flatMap((each) => ('open' in each ? [each] : []));
  const lacking = all.flatMap((each) => ('reason' in each ? [each] : []));
  if (there.length === 0) return { kind: 'none', reason: lacking.map(({ reason }) => reason).join('; ') };
  const notes = [
    ...there.flatMap((each) => each.notes),
    // A machine has a processor, and may well have no GPU.
    ...lacking.flatMap(({ source, reason }) =>
      source === 'rapl' ? [`the processor's energy is not in it: ${reason}`] : [],
    ),
  ];
  const describe = there.map((each) => each.describe).join('; ');
  return found(
    () =>
      new CounterMeter(
        describe,
        there.map(({ source }) => source),
        there.map((each) => each.open()),
        notes,
      ),
  );
}

function found(open: () => Meter): MeterAccess {
  return { kind: 'meter', describe: open().name, open };
}

/** Counters of all kinds at hand, read together. */
class CounterMeter implements Meter {
  private began = NaN;

  constructor(
    readonly name: string,
    readonly sources: readonly EnergySource[],
    private readonly counters: readonly Counters[],
    private readonly notes: readonly string[],
  ) {}

  async start(): Promise<void> {
    try {
      // The processor's, which take no time, last, and first at the end.
      for (const each of [...this.counters].reverse()) await each.start();
    } catch (cause) {
      this.close();
      throw new UserError('no-energy', `energy cannot be measured: ${fileReason(cause)}`, { cause });
    }
    this.began = performance.now();
  }

  async stop(): Promise<EnergyReading> {
    const seconds = (performance.now() - this.began) / 1000;
    const readings: CounterReading[] = [];
    try {
      for (const each of this.counters) readings.push(await each.stop());
    } finally {
      this.close();
    }
    const notes = [...this.notes, ...readings.flatMap((reading) => reading.notes)];
    if (readings.every(({ joules }) => joules.size === 0))
      throw new UserError('no-energy', `energy cannot be measured: ${notes.join('; ')}`);
    return {
      sources: this.sources,
      estimated: false,
      seconds,
      grossJ: readings.reduce((sum, { totalJ }) => sum + totalJ, 0),
      idleJ: null,
      netJ: null,
      zones: Object.fromEntries(readings.flatMap(({ joules }) => [...joules])),
      notes,
    };
  }

  close(): void {
    for (const each of this.counters) each.close?.();
  }
}

/** CPU seconds times what a busy core is said to draw. Memory, disks and an idle machine are not in it. */
class Estimate implements Meter {
  readonly name: string;
  readonly sources = ['estimate'] as const;
  private began = NaN;

  constructor(private readonly watts: number) {
    this.name = `estimate: CPU seconds × ${watts} W a busy core`;
  }

  start(): Promise<void> {
    this.began = performance.now();
    return Promise.resolve();
  }

  stop(cpuSeconds: number | null = null): Promise<EnergyReading> {
    if (cpuSeconds === null)
      return Promise.reject(
        new UserError('no-energy', 'an estimate needs the CPU seconds of the work, which this system does not tell'),
      );
    return Promise.resolve({
      sources: this.sources,
      estimated: true,
      seconds: (performance.now() - this.began) / 1000,
      grossJ: cpuSeconds * this.watts,
      idleJ: null,
      netJ: null,
      zones: {},
      notes: [`estimated, not measured: CPU seconds × ${this.watts} W a busy core`],
    });
  }

  close(): void {
    // Nothing is open.
  }
}
