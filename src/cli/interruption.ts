/** The signals that ask the command to end, with its exit code as shells have it: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal that asks the command to end. */
export type Ending = keyof typeof EXIT_CODES;

const endings = Object.keys(EXIT_CODES) as Ending[];

/** What a verb does about a signal; it gives false where there is nothing more to wait for. */
type Handler = (name: Ending) => boolean;

/**
 * Ends the process with what is registered by `onExit` undone. `process.exit` would wait for a worker's step, which may take many seconds:
 * the signal itself does not. A shell shows the same exit code for both.
 */
function endAtOnce(name: Ending): never {
  process.emit('exit', EXIT_CODES[name]);
  process.removeAllListeners('exit');
  process.removeAllListeners(name);
  process.kill(process.pid, name);
  process.exit(EXIT_CODES[name]);
}

/** Of the verb that wants to end by itself. */
let current: Handler | undefined;

/**
 * Handles the signals that ask the command to end: the verb that runs may deal with them ({@link handleSignals}); where it does not, the
 * process ends at once, and what is registered by `onExit` is undone.
 */
export function listenToSignals(): void {
  for (const name of endings)
    process.on(name, () => {
      if (!current?.(name)) endAtOnce(name);
    });
}

/** Has `handler` decide what a signal does, until the function that is given back is called. */
export function handleSignals(handler: Handler): () => void {
  current = handler;
  return () => {
    if (current === handler) current = undefined;
  };
}

/** How a verb learns that it is to save its work and end: at the first signal. The second one ends the process at once. */
export class Interruption {
  /** To be called when there is nothing more to save. */
  readonly close: () => void;
  private readonly controller = new AbortController();
  private received: Ending | undefined;

  /** @param tell says what is being done about the first signal. */
  constructor(tell: () => void) {
    this.close = handleSignals((name) => {
      if (this.received) return false;
      this.received = name;
      tell();
      this.controller.abort();
      return true;
    });
  }

  /** Fires at the first signal. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** What the command that was stopped exits with: 130 after Ctrl-C, 143 after SIGTERM. */
  get exitCode(): number {
    return EXIT_CODES[this.received ?? 'SIGINT'];
  }
}
