/** Where a text names a setting by its key. */
const MENTION = /‹(\w+)›/g;

/** `text` with `show` in place of each ‹setting› that it names: the command line shows flags, messages of errors the keys themselves. */
export function showSettings(text: string, show: (key: string) => string): string {
  return text.replaceAll(MENTION, (_, key: string) => show(key));
}

/**
 * An error that the user can cause and mend. Its text says what was wrong, where, and what to do, in one line; a setting that would mend
 * it stands in it as ‹key›. `code` is stable: scripts may depend on it. The CLI prints the text and exits with 2.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(
    readonly code: string,
    readonly text: string,
    options?: ErrorOptions,
  ) {
    super(
      showSettings(text, (key) => key),
      options,
    );
  }
}

/** What a machine can run out of, or not do at all. */
export type MachineLimit = 'out-of-files' | 'out-of-memory' | 'out-of-threads' | 'unsupported-machine';

/**
 * A limit of the machine that was met. Its message says which, and what to do, in one line; `code` is stable. The CLI prints the
 * message and exits with 1.
 */
export class MachineError extends Error {
  override readonly name = 'MachineError';

  constructor(
    readonly code: MachineLimit,
    readonly text: string,
    options?: ErrorOptions,
  ) {
    super(
      showSettings(text, (key) => key),
      options,
    );
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
