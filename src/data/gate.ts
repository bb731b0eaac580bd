/** Lets work run side by side, except what has to run alone. */
export class Gate {
  private running = 0;
  private alone: Promise<unknown> | undefined;
  private onIdle: (() => void) | undefined;

  /** Runs `work` beside other work, once nothing runs alone or waits to. */
  async beside<T>(work: () => Promise<T>): Promise<T> {
    while (this.alone) await this.alone;
    this.running++;
    try {
      return await work();
    } finally {
      this.running--;
      if (this.running === 0) this.onIdle?.();
    }
  }

  /** Runs `work` when all that runs has ended, with nothing beside it; in the order of the calls. Not from within `beside`. */
  async byItself<T>(work: () => Promise<T>): Promise<T> {
    const before = this.alone;
    const result = (async () => {
      await before;
      if (this.running > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
      this.onIdle = undefined;
      return work();
    })();
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    const turn = settled.then(() => {
      if (this.alone === turn) this.alone = undefined;
    });
    this.alone = turn;
    return result;
  }
}
