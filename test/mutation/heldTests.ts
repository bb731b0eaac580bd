import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Question } from './tests.js';

/** What became of the tests; `by` is the first that failed, `times` the milliseconds of each file. */
const verdictSchema = z.object({
  failed: z.boolean(),
  by: z.string().optional(),
  times: z.record(z.string(), z.number()),
});
export type Verdict = z.infer<typeof verdictSchema>;

/** Whether the system ends processes by groups: the tests run in processes of their own, below the one that holds them. */
const HAS_GROUPS = process.platform !== 'win32';
const SCRIPT = fileURLToPath(new URL('run.js', import.meta.url));

/** A process that holds the tests, loaded and ready; another takes its place when a mutant keeps it from answering. */
export class HeldTests {
  private child: ChildProcess | undefined;

  /** Undefined where the process ends without an answer, or none comes within `limitMs`. */
  async run(question: Question, limitMs: number): Promise<Verdict | undefined> {
    const child = (this.child ??= await started());
    const stop = new AbortController();
    const heard: Promise<unknown[]>[] = ['message', 'exit'].map((event) => once(child, event, { signal: stop.signal }));
    const timer = setTimeout(() => {
      end(child);
    }, limitMs);
    child.send(question);
    try {
      const said: readonly unknown[] = await Promise.race(heard);
      const [answer] = said;
      const verdict = verdictSchema.safeParse(answer);
      if (!verdict.success) this.close();
      return verdict.data;
    } finally {
      clearTimeout(timer);
      stop.abort();
      await Promise.allSettled(heard);
    }
  }

  close(): void {
    if (this.child) end(this.child);
    this.child = undefined;
  }
}

/** The process, once it is ready to be asked. */
async function started(): Promise<ChildProcess> {
  const child = fork(SCRIPT, ['tests'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], detached: HAS_GROUPS });
  await once(child, 'message');
  return child;
}

/** Ends the process and those below it, of which one may never end by itself. */
function end(child: ChildProcess): void {
  if (!HAS_GROUPS || child.pid === undefined) child.kill('SIGKILL');
  else if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
}
