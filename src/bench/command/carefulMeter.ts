import { withIdle } from '../../energy/meter.js';
import { messageOf } from '../../errors.js';
import type { Measurement, MeasureOptions } from './measurement.js';

/** A meter that may fail without the command being any the worse. */
export class CarefulMeter {
  private failed: string | undefined;

  constructor(private readonly options: MeasureOptions) {}

  async start(): Promise<void> {
    try {
      await this.options.meter?.start();
    } catch (thrown) {
      this.failed = messageOf(thrown);
    }
  }

  async stop(cpuSeconds: number | null): Promise<Pick<Measurement, 'energy' | 'energyNotMeasured'>> {
    const { meter, idle, noMeter = 'no meter was given' } = this.options;
    if (!meter || this.failed !== undefined) return { energy: null, energyNotMeasured: this.failed ?? noMeter };
    try {
      const reading = await meter.stop(cpuSeconds);
      return { energy: idle ? withIdle(reading, idle) : reading };
    } catch (thrown) {
      return { energy: null, energyNotMeasured: messageOf(thrown) };
    }
  }
}
