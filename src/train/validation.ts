import { UserError } from '../errors.js';
import type { Engine } from '../runtime/engine.js';
import type { TrainEvent } from './events.js';
import type { Task } from '../artifacts/task.js';
import { targetRows } from '../data/labels.js';
import type { AnyMetrics } from './headline.js';
import { labelMetricsOf } from './labelMetrics.js';
import { metricsOf } from './metrics.js';
import type { PhotoSlots } from './photoSlots.js';

/** Photos asked of the worker at a time, a multiple of what it takes in one run of the session. */
const EVALUATED_PER_CALL = 512;

export interface Evaluated {
  readonly metrics: AnyMetrics;
  /** [photos, classes]. */
  readonly logits: Float32Array;
}

/** Evaluates photos in slots under the engine's current parameters. */
export class Validation {
  constructor(
    private readonly engine: Engine,
    private readonly slots: PhotoSlots,
    private readonly told: { readonly task: Task; readonly classes: number },
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Metrics of the validation photos. @throws UserError `stopped` when the signal fires. */
  async *evaluate(epoch: number): AsyncGenerator<TrainEvent, Evaluated> {
    const slots = Int32Array.from(this.slots.valSlots);
    const { classes } = this.told;
    const logits = new Float32Array(slots.length * classes);
    for (let done = 0; done < slots.length;) {
      const some = slots.subarray(done, done + EVALUATED_PER_CALL);
      const found = yield* this.logitsOf(some, epoch);
      if (this.signal?.aborted) throw new UserError('stopped', 'stopped while evaluating');
      logits.set(found, done * classes);
      done += some.length;
      yield { type: 'progress', phase: 'evaluating', epoch, done, total: slots.length };
    }
    return { metrics: this.metricsOf(logits), logits };
  }

  private metricsOf(logits: Float32Array): AnyMetrics {
    const { task, classes } = this.told;
    const photos = this.slots.valPhotos;
    if (task === 'labels') return labelMetricsOf(logits, targetRows(photos, classes), classes);
    return metricsOf(
      logits,
      photos.map(({ label }) => label),
      classes,
    );
  }

  /** The first of `slots` whose logits `isFound` is true for; undefined where there is none. */
  async *firstSlot(
    slots: Int32Array,
    epoch: number,
    isFound: (logits: Float32Array) => boolean,
  ): AsyncGenerator<TrainEvent, number | undefined> {
    const { classes } = this.told;
    for (let done = 0; done < slots.length; done += EVALUATED_PER_CALL) {
      const some = slots.subarray(done, done + EVALUATED_PER_CALL);
      const logits = yield* this.logitsOf(some, epoch);
      for (const [row, slot] of some.entries())
        if (isFound(logits.subarray(row * classes, (row + 1) * classes))) return slot;
    }
    return undefined;
  }

  /** The logits of photos; those that were not reached when the signal fired are zero. */
  private async *logitsOf(slots: Int32Array, epoch: number): AsyncGenerator<TrainEvent, Float32Array> {
    while (true) {
      const { logits, lost } = await this.engine.evaluate(slots);
      if (!lost) return logits;
      yield* this.slots.fillAgain(lost, epoch);
    }
  }
}
