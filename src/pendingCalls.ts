import { type CarriedError, revived } from './carriedError.js';

/** What a thread or a process answers to a call. */
export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: CarriedError;
}

/** Calls of another thread or process that wait for their answers. Once it has ended, they and all later ones are refused with the reason. */
export class PendingCalls {
  private readonly waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (reason: unknown) => void }
  >();
  private calls = 0;
  private reason: Error | undefined;

  /** Why there will be no more answers; undefined while there may be. */
  get ended(): Error | undefined {
    return this.reason;
  }

  /** Makes a call, which `post` sends under its number, and waits for the answer. */
  call(post: (id: number) => void): Promise<unknown> {
    if (this.reason) return Promise.reject(this.reason);
    const id = ++this.calls;
    return new Promise<unknown>((resolve, reject) => {
      post(id);
      this.waiting.set(id, { resolve, reject });
    });
  }

  answer({ id, result, error }: Reply): void {
    const call = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) call?.reject(revived(error));
    else call?.resolve(result);
  }

  /** The first reason counts: an exit follows the error that caused it. */
  end(reason: Error): void {
    this.reason ??= reason;
    for (const { reject } of this.waiting.values()) reject(this.reason);
    this.waiting.clear();
  }
}
