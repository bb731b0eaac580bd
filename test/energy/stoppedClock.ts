import { onTestFinished, vi } from 'vitest';

/** The clocks of a test, in milliseconds: they stand where they are set. */
export interface StoppedClock {
  /** `performance.now()`, which stands still while the machine sleeps. */
  monotonicMs: number;
  /** `Date.now()`, which may be set. */
  wallMs: number;
}

/** Stops the clocks by which meters count, until the test is over. */
export function stoppedClock(): StoppedClock {
  const clock = { monotonicMs: 0, wallMs: 1_700_000_000_000 };
  const monotonic = vi.spyOn(performance, 'now').mockImplementation(() => clock.monotonicMs);
  const wall = vi.spyOn(Date, 'now').mockImplementation(() => clock.wallMs);
  onTestFinished(() => {
    monotonic.mockRestore();
    wall.mockRestore();
  });
  return clock;
}
