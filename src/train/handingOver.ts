/** Photos that are handed to the engine together; those that are mixed are mixed among each other. */
export const HANDED_OVER = 16;

/** Hands things over in batches, some of which are on their way while the next is gathered. */
export class HandingOver<Thing> {
  private waiting: Thing[] = [];
  private readonly sent: Promise<void>[] = [];

  /** @param most how many batches may be on their way. */
  constructor(
    private readonly most: number,
    private readonly hand: (batch: readonly Thing[]) => Promise<void>,
  ) {}

  /** @throws what handing over an earlier one has thrown. */
  async add(thing: Thing): Promise<void> {
    if (this.waiting.length === HANDED_OVER) await this.flush();
    this.waiting.push(thing);
  }

  /** Hands over what is left, and waits for all of it. @throws what handing over one of them has thrown. */
  async end(): Promise<void> {
    await this.flush();
    await Promise.all(this.sent);
  }

  private async flush(): Promise<void> {
    const batch = this.waiting;
    this.waiting = [];
    if (this.sent.length >= this.most) await this.sent.shift();
    if (batch.length === 0) return;
    const sending = this.hand(batch);
    // Whoever adds later, or waits for all, learns that it failed.
    sending.catch(() => undefined);
    this.sent.push(sending);
  }
}
