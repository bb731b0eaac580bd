import type { Worker } from 'node:worker_threads';
import type { Caller } from '../channel.js';
import type * as ort from './ort.js';
import { buffersOf, type SentTensor } from './sentTensor.js';
import type { SessionEnds, SessionOperations } from './sessionOperations.js';
import { startWorker } from './startWorker.js';

/** Runs that a session may have at once: the one under way, and the next, so that it never waits for this thread. */
const RUNS_AT_ONCE = 2;

interface Member {
  readonly caller: Caller<SessionOperations>;
  /** Absent where it is not the pool's own. */
  readonly worker?: Worker;
  /** Its runs that are under way. */
  runs: number;
}

interface Waiting {
  readonly feeds: readonly SentTensor[];
  readonly wanted: readonly string[];
  readonly resolve: (results: Promise<SentTensor[]>) => void;
}

/**
 * Sessions of one model, each in a worker. A run is taken by the session that is free first, so that images, not the inside
 * of an operator, are what cores share: threads of one session wait for each other at every operator.
 */
export class SessionPool {
  /** Runs that no session has taken yet, the first of them first. */
  private readonly waiting: Waiting[] = [];

  private constructor(
    private readonly members: readonly Member[],
    readonly ends: SessionEnds,
  ) {}

  /**
   * Opens `count` sessions of a model, a path or its bytes, each in a worker of its own; where it is one alone, in `host` if there is one.
   * @throws what ONNX Runtime throws; MachineError where the system allows no further thread.
   */
  static async open(
    model: string | Uint8Array,
    options: ort.InferenceSession.SessionOptions,
    count: number,
    host?: Caller<SessionOperations>,
  ): Promise<SessionPool> {
    const members: Member[] = [];
    const own = count === 1 && host ? { caller: host } : undefined;
    try {
      for (let n = 0; n < count; n++)
        members.push({ ...(own ?? startWorker<SessionOperations>('sessionWorker', 'runs a session')), runs: 0 });
      const opening = members.map(({ caller }) => caller.call('openSession', [model, options]));
      await Promise.allSettled(opening);
      const [ends = { inputs: [], outputs: [] }] = await Promise.all(opening);
      return new SessionPool(members, ends);
    } catch (thrown) {
      await closeAll(members);
      throw thrown;
    }
  }

  /** Runs to have under way so that none of so many sessions waits. */
  static runsAtOnce(sessions: number): number {
    return RUNS_AT_ONCE * sessions;
  }

  /**
   * Runs the model once: gives the outputs `wanted`, in this order. The buffers of `feeds` are handed over.
   * @throws what ONNX Runtime throws.
   */
  run(feeds: readonly SentTensor[], wanted: readonly string[]): Promise<SentTensor[]> {
    return new Promise((resolve) => {
      this.waiting.push({ feeds, wanted, resolve });
      this.assign();
    });
  }

  /** How many runs to have under way so that no session waits. */
  get runsAtOnce(): number {
    return SessionPool.runsAtOnce(this.members.length);
  }

  /** Gives back all that it took, after the runs that sessions have begun; others are refused. */
  close(): Promise<void> {
    return closeAll(this.members);
  }

  private assign(): void {
    while (this.waiting.length > 0) {
      const member = this.members.reduce((least, each) => (each.runs < least.runs ? each : least));
      if (member.runs >= RUNS_AT_ONCE) return;
      const next = this.waiting.shift();
      if (next) next.resolve(this.runOn(member, next));
    }
  }

  private async runOn(member: Member, { feeds, wanted }: Waiting): Promise<SentTensor[]> {
    member.runs++;
    try {
      return await member.caller.call('runSession', [feeds, wanted], buffersOf(feeds));
    } finally {
      member.runs--;
      this.assign();
    }
  }
}

async function closeAll(members: readonly Member[]): Promise<void> {
  await Promise.all(
    members.map(async ({ worker, caller }) => {
      // A worker that is dead has given all back.
      await caller.call('closeSession', []).catch(() => undefined);
      await worker?.terminate();
    }),
  );
}
