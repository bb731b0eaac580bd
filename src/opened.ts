/** What was opened together, and is closed together. */
export class Opened {
  private readonly closers: (() => unknown)[] = [];

  /** Has `close` called when all is closed. Gives `thing`. */
  add<Thing>(thing: Thing, close: (thing: Thing) => unknown): Thing {
    this.closers.push(() => close(thing));
    return thing;
  }

  /** Closes all, the last first, once. @throws what the first that failed threw, after the others were closed. */
  async close(): Promise<void> {
    const failed: unknown[] = [];
    for (const close of this.closers.splice(0).reverse()) {
      try {
        await close();
      } catch (thrown) {
        failed.push(thrown);
      }
    }
    if (failed.length > 0) throw failed[0];
  }
}
