/**
 * An error that the user can cause and mend. Its message says what was wrong, where, and what to do, in one line.
 * `code` is stable: scripts may depend on it. The CLI prints the message and exits with 2.
 */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What a machine can run out of. */
export type MachineLimit = 'out-of-files' | 'out-of-memory' | 'out-of-threads';

/**
 * A limit of the machine that was met. Its message says which, and what to do, in one line; `code` is stable. The CLI prints the
 * message and exits with 1.
 */
export class MachineError extends Error {
  override readonly name = 'MachineError';

  constructor(
    readonly code: MachineLimit,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
