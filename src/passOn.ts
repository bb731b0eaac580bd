/**
 * Passes on what `steps` gives, each as `tell` makes it, and gives its result. Whoever looks no longer, and whatever `tell` throws:
 * `steps` is closed, and with it all that it has opened.
 */
export async function* passOn<Step, Told, Result>(
  steps: AsyncIterator<Step, Result>,
  tell: (step: Step) => Told,
): AsyncGenerator<Told, Result> {
  try {
    while (true) {
      const next = await steps.next();
      if (next.done) return next.value;
      yield tell(next.value);
    }
  } finally {
    await steps.return?.();
  }
}
