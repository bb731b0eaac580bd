import { inspect, type InspectReport, type ModelFile } from '../../index.js';
import type { Cost } from '../api.js';
import type { FoundRun, Runs } from './runs.js';

/** What a process takes beside its tensors, as long as no run here has told. */
const USUAL_OVERHEAD_BYTES = 2.5e8;
const BATCH = 32;

/** What a machine has shown: multiply-adds a millisecond. */
interface Rates {
  readonly frozen?: number;
  readonly trained?: number;
  readonly overheadBytes: number;
}

/** Tells what a training would cost, by the network and by what earlier runs on this machine took. */
export class Costs {
  private readonly reports = new Map<string, InspectReport>();

  constructor(
    private readonly runs: Runs,
    /** Multiply-adds a millisecond at which photos pass a network of so many; undefined as long as nobody knows. */
    private readonly frozenRate: (multiplyAdds: number) => number | undefined,
  ) {}

  /** @throws UserError for a policy that does not fit the model. */
  async of(
    model: ModelFile,
    policy: string,
    { classes, photos }: { readonly classes: number; readonly photos: number },
  ): Promise<Cost> {
    const key = JSON.stringify([model.sha256, policy, classes]);
    const report = this.reports.get(key) ?? inspect(model, { policy, classes, batch: BATCH });
    this.reports.set(key, report);
    const found = report.policy;
    if (!found) throw new Error('a policy was asked for');
    const rates = await this.rates(report.multiplyAdds);
    const step = found.forwardMultiplyAdds + found.backwardMultiplyAdds;
    const laterEpochMs = rates.trained === undefined ? undefined : (photos * step) / rates.trained;
    const frozenMs =
      found.frozenMultiplyAdds === 0
        ? 0
        : rates.frozen === undefined
          ? undefined
          : (photos * found.frozenMultiplyAdds) / rates.frozen;
    return {
      parameters: found.parameters,
      trainableParameters: found.trainableParameters,
      memoryBytes: found.trainingMemoryBytes + rates.overheadBytes,
      ...(laterEpochMs === undefined ? {} : { laterEpochMs }),
      ...(laterEpochMs === undefined || frozenMs === undefined ? {} : { firstEpochMs: frozenMs + laterEpochMs }),
    };
  }

  /** What the newest run with epochs to tell by has shown. */
  private async rates(multiplyAdds: number): Promise<Rates> {
    const frozen = this.frozenRate(multiplyAdds);
    const own = frozen === undefined ? {} : { frozen };
    for (const found of this.runs.all) {
      const { summary, run } = found;
      const laterMs = await this.runs.laterEpochMs(found);
      if (!summary || laterMs === undefined || laterMs <= 0) continue;
      return { ...own, trained: trainedRate(summary, laterMs), overheadBytes: overheadOf(summary, run.peakRssBytes) };
    }
    return { ...own, overheadBytes: USUAL_OVERHEAD_BYTES };
  }
}

type Summary = NonNullable<FoundRun['summary']>;

const trainedRate = ({ cost, trainPhotos }: Summary, laterMs: number) =>
  (trainPhotos * (cost.forwardMultiplyAdds + cost.backwardMultiplyAdds)) / laterMs;

const overheadOf = ({ cost }: Summary, peakRssBytes: number) =>
  Math.max(USUAL_OVERHEAD_BYTES / 2, peakRssBytes - cost.trainingMemoryBytes);
