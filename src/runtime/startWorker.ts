import { Worker } from 'node:worker_threads';
import { Caller, type Operations, threadLine } from '../channel.js';
import { entryPoint } from '../entryPoint.js';
import { machineErrorOf } from '../machineError.js';

export interface StartedWorker<Answered extends Operations> {
  readonly worker: Worker;
  /** Asks it; once the worker has died, calls are refused with the reason. */
  readonly caller: Caller<Answered>;
}

/** Starts a worker thread. `task` is what it does, for messages. @throws MachineError where the system allows no further thread, or no files for one. */
export function startWorker<Answered extends Operations>(
  name: 'sessionWorker' | 'stepWorker' | 'worker',
  task: string,
): StartedWorker<Answered> {
  let worker: Worker;
  try {
    worker = new Worker(entryPoint(name));
  } catch (thrown) {
    throw machineErrorOf(thrown) ?? thrown;
  }
  const caller = new Caller<Answered>(threadLine(worker));
  const end = (reason: Error) => {
    caller.end(reason);
  };
  worker.on('messageerror', end);
  worker.on('error', end);
  worker.on('exit', (code) => {
    end(new Error(`the worker that ${task} ended with exit code ${code}`));
  });
  return { worker, caller };
}
