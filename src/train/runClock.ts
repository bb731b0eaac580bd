import type { TrainOptions } from './trainOptions.js';

/** The time of a run: of this call, which may be limited, of the parts before it, and of the epoch under way. */
export class RunClock {
  private countedUntil = NaN;

  /** @param began when this call did, in milliseconds of `performance.now()`. */
  constructor(
    private readonly began: number,
    private readonly options: Pick<TrainOptions, 'timeLimitMs'>,
    private readonly elapsedBeforeMs: number,
  ) {}

  /** What is left of this call's time; negative where it is up. */
  get leftMs(): number {
    return (this.options.timeLimitMs ?? Infinity) - (performance.now() - this.began);
  }

  get isTimeUp(): boolean {
    return this.leftMs < 0;
  }

  /** The time of all parts of the run. */
  get elapsedMs(): number {
    return this.elapsedBeforeMs + performance.now() - this.began;
  }

  /** The moment up to which time was counted for the epoch under way, in milliseconds of `performance.now()`. */
  get epochCountedUntil(): number {
    return this.countedUntil;
  }

  /** Begins to count time for an epoch. */
  startEpoch(): void {
    this.countedUntil = performance.now();
  }

  /** The time of the epoch under way that has passed since it was last counted. */
  countEpochMs(): number {
    const now = performance.now();
    const passed = now - this.countedUntil;
    this.countedUntil = now;
    return passed;
  }
}
