import type { Meter } from '../energy/meter.js';
import { messageOf, UserError } from '../errors.js';
import type { FitReport } from './fitReport.js';

/** What measures the energy of a call, or why nothing does. */
export interface FitMeter {
  readonly meter?: Meter;
  readonly noMeter?: string;
}

/** The energy of this process from now on. */
export class FitEnergy {
  private constructor(
    private readonly meter: Meter | undefined,
    private readonly reason: string,
    private readonly cpu: NodeJS.CpuUsage,
  ) {}

  /** Counters that cannot be read measure nothing; that is no reason not to train. */
  static async start({ meter, noMeter = 'it was not asked for' }: FitMeter): Promise<FitEnergy> {
    try {
      await meter?.start();
      return new FitEnergy(meter, noMeter, process.cpuUsage());
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      return new FitEnergy(undefined, thrown.text, process.cpuUsage());
    }
  }

  async stop(): Promise<Pick<FitReport, 'joules' | 'energyEstimated' | 'energyNotMeasured'>> {
    const { meter, reason, cpu } = this;
    if (!meter) return { joules: null, energyNotMeasured: reason };
    const { user, system } = process.cpuUsage(cpu);
    try {
      const { grossJ, estimated } = await meter.stop((user + system) / 1e6);
      return { joules: grossJ, ...(estimated ? { energyEstimated: true } : {}) };
    } catch (thrown) {
      if (!(thrown instanceof UserError)) throw thrown;
      return { joules: null, energyNotMeasured: messageOf(thrown) };
    }
  }

  close(): void {
    this.meter?.close();
  }
}
