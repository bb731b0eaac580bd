/** What `source` gives, as long as it gives something every `stallMs`; throws an `Error` else. The source is closed on every way out. */
export async function* withoutStall<Each>(source: AsyncIterable<Each>, stallMs: number): AsyncGenerator<Each> {
  const iterator = source[Symbol.asyncIterator]();
  let isStalled = false;
  try {
    while (true) {
      const step = await withinTime(iterator.next(), stallMs);
      if (step === undefined) {
        isStalled = true;
        throw new Error(`nothing has come for ${stallMs / 1000} s`);
      }
      if (step.done) return;
      yield step.value;
    }
  } finally {
    const closing = Promise.resolve(iterator.return?.()).catch(() => undefined);
    // Who gives nothing may not end either.
    if (!isStalled) await closing;
  }
}

/** What `work` gives; undefined where it takes longer. */
async function withinTime<Result>(work: Promise<Result>, ms: number): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
