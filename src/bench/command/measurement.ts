import type { EnergyReading, IdleBaseline, Meter } from '../../energy/meter.js';

/** What a command cost. What could not be measured is null, and `notes` say why. */
export interface Measurement {
  readonly command: readonly string[];
  /** The exit code that a shell tells: 128 and the signal's number for a command that a signal ended. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
  readonly wallSeconds: number;
  /** Time on processors of the command and everything that it started and waited for. */
  readonly userSeconds: number | null;
  readonly systemSeconds: number | null;
  /** The most that all of its processes held in memory at one time: pages that several share count for each. */
  readonly peakRssBytes: number | null;
  /** From and to storage; what the page cache served is not in it. */
  readonly readBytes: number | null;
  readonly writtenBytes: number | null;
  readonly energy: EnergyReading | null;
  /** Why `energy` is null. */
  readonly energyNotMeasured?: string;
  readonly notes: readonly string[];
}

export interface MeasureOptions {
  readonly meter?: Meter;
  readonly idle?: IdleBaseline;
  /** Why there is no meter: what `energyNotMeasured` then says. */
  readonly noMeter?: string;
  readonly cwd?: string;
  /** By default ours, without what we have set for ourselves. */
  readonly env?: NodeJS.ProcessEnv;
  /** `inherit`: the command has our input and outputs; `stderr`: its output goes where our errors go; `ignore`: it has none. */
  readonly stdio?: 'inherit' | 'stderr' | 'ignore';
  /** Gets every line that the command prints, which then goes nowhere else. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** Ends all processes of the command by SIGTERM, and by SIGKILL 3 s later. */
  readonly signal?: AbortSignal;
  /** Gets, before the command starts, what sends a signal to all of its processes, and leaves the rest to them. */
  readonly onStart?: (send: (name: NodeJS.Signals) => void) => void;
  /** For commands of ort-tl: they end when this process does, however that ends. */
  readonly endsWithUs?: boolean;
}
