/**
 * Takes `steps` to their end, each after `see` has seen it, and gives their result. Whatever `see` throws: `steps` is closed, and with it all
 * that it has opened.
 */
export async function resultOf<Step, Result>(
  steps: AsyncIterator<Step, Result>,
  see: (step: Step) => void | Promise<void> = () => undefined,
): Promise<Result> {
  try {
    while (true) {
      const next = await steps.next();
      if (next.done) return next.value;
      await see(next.value);
    }
  } finally {
    await steps.return?.();
  }
}
