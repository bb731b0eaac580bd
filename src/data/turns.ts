/** Lets so many pieces of work go on at once; the others wait for their turn, in the order in which they came. */
export class Turns {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private atOnce: number) {}

  async take<T>(work: () => Promise<T>): Promise<T> {
    while (this.running >= this.atOnce) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.running++;
    try {
      return await work();
    } finally {
      this.running--;
      if (this.running < this.atOnce) this.waiting.shift()?.();
    }
  }

  /** Lets fewer go on from now on; tells whether that was possible. */
  lessen(): boolean {
    if (this.atOnce === 1) return false;
    this.atOnce--;
    return true;
  }
}
