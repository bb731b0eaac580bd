/** What ends the command, with its exit code as shells have it: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 } as const;

/** A signal that asks the command to end. */
export type Ending = 'SIGINT' | 'SIGTERM';

const endings: readonly Ending[] = ['SIGINT', 'SIGTERM'];

/** What a verb does about a signal; it gives false where there is nothing more to wait for. */
type Handler = (name: Ending) => boolean;

/**
 * Ends the process with what is registered by `onExit` undone. `process.exit` would wait for a worker's step, which may take many seconds:
 * the signal itself does not. A shell shows the same exit code for both.
 */
export function endAtOnce(name: keyof typeof EXIT_CODES): never {
  process.emit('exit', EXIT_CODES[name]);
  process.removeAllListeners('exit');
  killItself(name);
  process.exit(EXIT_CODES[name]);
}

/** Has a signal do to this process what it does by default. */
export function killItself(name: NodeJS.Signals): void {
  if (name === 'SIGPIPE') {
    if (process.platform === 'win32') return;
    // Node.js ignores it, and does so no more when a listener for it has come and gone.
    process.on(name, () => undefined);
  }
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}

/** What the verb that wants to end by itself does on a signal. */
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

/**
 * Has the verb that runs save its work and end as at a signal, but with `exitCode`. It gives false where the verb cannot. `process.exit`
 * would break off a worker's step, which may abort the process.
 */
export function endSoon(exitCode: number): boolean {
  if (!current?.('SIGTERM')) return false;
  process.once('exit', () => {
    process.exitCode = exitCode;
  });
  return true;
}

/** How long a verb may take to save its work and to end; whoever sent the signal waits no longer than five seconds. */
const PATIENCE_MS = 4000;

/**
 * How a verb learns that it is to save its work and end: at the first signal. The second one ends the process at once, as does the time when
 * it is up.
 */
export class Interruption {
  /** To be called when there is nothing more to save. The process must then end by itself, in what is left of the time. */
  readonly close: () => void;
  private readonly controller = new AbortController();
  private received: Ending | undefined;

  /**
   * @param tell says what is being done about the first signal, and that the time was too short for it.
   * @param hint is what whoever sent it can do then.
   */
  constructor(tell: (what: string) => void, doing: string, hint: () => readonly string[] = () => []) {
    this.close = handleSignals((name) => {
      if (this.received) return endAtOnce(name);
      this.received = name;
      tell(`${doing}; press Ctrl-C again to stop at once`);
      this.controller.abort();
      // It holds up nothing that ends by itself.
      setTimeout(() => {
        tell(['this takes too long; what was saved before is kept', ...hint()].join('; '));
        endAtOnce(name);
      }, PATIENCE_MS).unref();
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
