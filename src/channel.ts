import type { ChildProcess } from 'node:child_process';
import type { MessagePort, Worker } from 'node:worker_threads';
import { type CarriedError, carried, revived } from './carriedError.js';
import { machineErrorOf } from './machineError.js';

/** What one thread or process does for another, by the names of its calls. */
export type Operations = Readonly<Record<string, (...args: never[]) => unknown>>;

/** What a call gives to whoever made it. */
type Given<Operation extends Operations[string]> =
  Awaited<ReturnType<Operation>> extends HandedOver<infer Value> ? Value : Awaited<ReturnType<Operation>>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: CarriedError;
}

/** A result whose buffers are handed over to the caller, not copied. Processes copy them all the same. */
export class HandedOver<Value> {
  constructor(
    readonly value: Value,
    readonly buffers: readonly ArrayBuffer[],
  ) {}
}

/** One end of a line to another thread or process. */
export interface Line {
  /** Copies a message to the other end, but for `buffers`, which are handed over where that can be done. */
  send(message: Call | Reply, buffers: readonly ArrayBuffer[]): void;
  listen(onMessage: (message: Call | Reply) => void): void;
}

/** The line to a worker, or from one to the thread that started it. */
export function threadLine(port: Worker | MessagePort): Line {
  return {
    send: (message, buffers) => port.postMessage(message, [...buffers]),
    listen: (onMessage) => port.on('message', onMessage),
  };
}

/** The line to a process that was forked, or from one to the process that forked it. */
export function processLine(peer: ChildProcess | NodeJS.Process): Line {
  return {
    // Where it can no longer be sent, the other end is gone, which its owner is told by another way.
    send: (message) => peer.send?.(message, undefined, undefined, () => undefined),
    listen: (onMessage) => peer.on('message', onMessage),
  };
}

/** The end that asks. Once the other end is gone, its calls that wait and all later ones are refused with the reason. */
export class Caller<Answered extends Operations> {
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (reason: Error) => void }>();
  private calls = 0;
  private reason: Error | undefined;

  constructor(private readonly line: Line) {
    line.listen((message) => {
      if (!('name' in message)) this.settle(message);
    });
  }

  /** Why there will be no more answers; undefined while there may be. */
  get ended(): Error | undefined {
    return this.reason;
  }

  /** Has an operation of the other end carried out. @throws what that throws, with its class, code, stack and causes. */
  call<Name extends keyof Answered & string>(
    name: Name,
    args: Parameters<Answered[Name]>,
    buffers: readonly ArrayBuffer[] = [],
  ): Promise<Given<Answered[Name]>> {
    if (this.reason) return Promise.reject(this.reason);
    const id = ++this.calls;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.line.send({ id, name, args }, buffers);
      this.waiting.set(id, { resolve, reject });
    });
    // The other end answers a call with what its operation of that name gives.
    return answer as Promise<Given<Answered[Name]>>;
  }

  /** Tells that the other end is gone. The first reason counts: an exit follows the error that caused it. */
  end(reason: Error): void {
    this.reason ??= machineErrorOf(reason) ?? reason;
    for (const { reject } of this.waiting.values()) reject(this.reason);
    this.waiting.clear();
  }

  private settle({ id, result, error }: Reply): void {
    const call = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) call?.reject(revived(error));
    else call?.resolve(result);
  }
}

/** The end that is asked: carries out calls one after another, in the order in which they were made. */
export function answerCalls(line: Line, operations: Operations): void {
  let last = Promise.resolve();
  line.listen((message) => {
    if (!('name' in message)) return;
    last = last.then(() => answer(line, operations, message));
  });
}

async function answer(line: Line, operations: Operations, { id, name, args }: Call): Promise<void> {
  try {
    const operation = operations[name];
    if (!operation) throw new Error(`there is no operation "${name}"`);
    const given: unknown = await Reflect.apply(operation, undefined, args);
    const { value, buffers } = handedOver(given);
    line.send({ id, result: value }, buffers);
  } catch (thrown) {
    line.send({ id, error: carried(thrown) }, []);
  }
}

function handedOver(given: unknown): HandedOver<unknown> {
  return given instanceof HandedOver ? given : new HandedOver(given, []);
}
