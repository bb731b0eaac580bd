/** Lets so many pieces of work go on at once. The others wait, and are forgotten when whoever wanted them has gone. */
export class AtMost {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  /** @param order which of those that wait comes next. */
  constructor(
    private readonly atOnce: number,
    private readonly order: 'oldest first' | 'newest first' = 'oldest first',
  ) {}

  /** Runs `work` when it is its turn. Throws the signal's reason where that aborts before. */
  async run<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    await this.turn(signal);
    try {
      return await work();
    } finally {
      const next = this.order === 'oldest first' ? this.waiting.shift() : this.waiting.pop();
      if (next) next();
      else this.running--;
    }
  }

  private turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.running < this.atOnce) {
      this.running++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(begin), 1);
        const reason: unknown = signal?.reason;
        reject(reason instanceof Error ? reason : new Error('nobody wants it any more'));
      };
      this.waiting.push(begin);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }
}
