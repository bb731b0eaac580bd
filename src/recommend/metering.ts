import type { Meter } from '../energy/meter.js';

/** What some work has cost. */
export interface Spent {
  joules: number;
  ms: number;
}

/** Charges work with its time, and with its energy where there is a meter. */
export class Metering {
  private isEstimated: boolean | null = null;

  constructor(private readonly meter: Meter | undefined) {}

  /** Whether joules are an estimate; null where there are none. */
  get estimated(): boolean | null {
    return this.isEstimated;
  }

  /** Does some work, and adds what it costs to `spent`. */
  async charge<Result>(spent: Spent, work: () => Promise<Result>): Promise<Result> {
    const { meter } = this;
    await meter?.start();
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    const result = await work();
    const { user, system } = process.cpuUsage(cpu);
    spent.ms += performance.now() - began;
    const reading = await meter?.stop((user + system) / 1e6);
    if (reading) {
      spent.joules += reading.grossJ;
      this.isEstimated = reading.estimated;
    }
    return result;
  }

  /** Joules of work that takes so many milliseconds, at the power of what was `spent`; null where nothing measures. */
  energyOf(spent: Spent, ms: number): number | null {
    return this.meter && spent.ms > 0 ? (spent.joules / spent.ms) * ms : null;
  }
}
