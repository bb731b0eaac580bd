/** Energy by samples of a power: what was used in a stretch of time, as if power changed evenly between two samples. Times are milliseconds. */
export class PowerSum {
  /** Undefined as long as no time is counted. */
  joules: number | undefined;
  /** The longest time between two samples of which some is counted. */
  longestGapMs = 0;
  private last: { readonly atMs: number; readonly watts: number } | undefined;

  /** When the last sample was taken, -∞ before the first. */
  get lastMs(): number {
    return this.last?.atMs ?? -Infinity;
  }

  /** Adds what was used between the last sample and this one, as far as it lies between `fromMs` and `untilMs`. */
  add(atMs: number, watts: number, fromMs: number, untilMs: number): void {
    const { last } = this;
    this.last = { atMs, watts };
    if (!last) return;
    const from = Math.max(last.atMs, fromMs);
    const until = Math.min(atMs, untilMs);
    if (until <= from) return;
    const wattsAt = (ms: number) => last.watts + ((watts - last.watts) * (ms - last.atMs)) / (atMs - last.atMs);
    this.joules = (this.joules ?? 0) + ((wattsAt(from) + wattsAt(until)) / 2) * ((until - from) / 1000);
    this.longestGapMs = Math.max(this.longestGapMs, atMs - last.atMs);
  }
}
