import { setTimeout as after } from 'node:timers/promises';
import { UserError } from '../errors.js';
import type { ModelEvent } from './modelEvents.js';

/** How often something is tried without a step forward, */
const ATTEMPTS = 5;
/** and the longest time that a server may ask to wait for the next one. */
const LONGEST_WAIT_MS = 300_000;

/** A shorter wait than this is none. */
const SHORTEST_ASKED_MS = 1000;

/** How whoever loads is stopped, and how patient it is. */
export interface Patience {
  readonly signal?: AbortSignal | undefined;
  /** The wait after the first failure, which doubles with each; half a second unless it is named. */
  readonly firstWaitMs?: number | undefined;
  /** How long a server may send nothing; a minute unless it is named. */
  readonly stallMs?: number | undefined;
}

/** A failure that may be over a moment later. */
export class Transient extends Error {
  constructor(
    reason: string,
    /** What the server asks to wait. */
    readonly waitMs?: number,
    /** Whether a good part was done before. */
    readonly hasProgressed = false,
  ) {
    super(reason);
  }
}

/** The error for what was stopped. */
export const stopped = (): UserError =>
  new UserError('stopped', 'stopped; what has arrived of the model is kept, and the same command goes on from there');

/**
 * Tries something until it does not fail in a way that may be over a moment later, a few times.
 * @param what for messages: what is tried.
 * @throws UserError `download-failed`, `stopped`.
 */
export async function* persistently<Result>(
  what: string,
  { signal, firstWaitMs = 500 }: Patience,
  attempt: () => AsyncGenerator<ModelEvent, Result>,
): AsyncGenerator<ModelEvent, Result> {
  for (let failures = 1; ; failures++) {
    let failure: Transient;
    try {
      if (signal?.aborted) throw stopped();
      return yield* attempt();
    } catch (thrown) {
      if (signal?.aborted) throw stopped();
      if (!(thrown instanceof Transient)) throw thrown;
      failure = thrown;
    }
    if (failure.hasProgressed) failures = 1;
    const ownMs = firstWaitMs * 2 ** (failures - 1);
    const { waitMs: askedMs = 0 } = failure;
    // A server that asks for no wait at all is not to be asked five times at once.
    const waitMs = askedMs < SHORTEST_ASKED_MS ? Math.max(askedMs, ownMs) : askedMs;
    const seconds = `${Math.ceil(waitMs / 1000)} s`;
    if (waitMs > LONGEST_WAIT_MS)
      throw new UserError('download-failed', `${what}: ${failure.message}, for ${seconds}; try again then`);
    if (failures === ATTEMPTS)
      throw new UserError(
        'download-failed',
        `${what}: ${failure.message}, ${ATTEMPTS} times; try again later, what has arrived is kept${proxyHint()}`,
      );
    yield { type: 'waiting', reason: `${what}: ${failure.message}; trying again in ${seconds}` };
    await pause(waitMs, signal);
  }
}

/** Waits. @throws UserError `stopped`. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await after(ms, undefined, signal ? { signal } : {}).catch(() => {
    throw stopped();
  });
}

/** What to do where a proxy is named that Node.js does not use by itself. */
export function proxyHint(env: NodeJS.ProcessEnv = process.env): string {
  const name = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].find((each) => env[each]);
  return name === undefined || env['NODE_USE_ENV_PROXY'] === '1'
    ? ''
    : `; ${name} counts with NODE_USE_ENV_PROXY=1 alone, in Node.js 22.21, 24 and later`;
}
