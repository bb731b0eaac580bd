import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Duplex, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeasureOptions } from './measurement.js';

/** What the command has in place of our input and outputs. */
export function stdioOf({
  stdio = 'inherit',
  onLine,
}: MeasureOptions): ['inherit' | 'ignore', 'pipe' | 'ignore' | number, 'pipe' | 'ignore' | number] {
  if (onLine) return [stdio === 'ignore' ? 'ignore' : 'inherit', 'pipe', 'pipe'];
  if (stdio === 'ignore') return ['ignore', 'ignore', 'ignore'];
  return ['inherit', stdio === 'stderr' ? 2 : 1, 2];
}

/** Hands over the lines of both outputs, and waits for the end of the process and of what it prints. */
export async function closeOf(child: ChildProcess, { onLine }: MeasureOptions, errors: unknown): Promise<void> {
  const exited = new Promise<void>((done) => {
    child.once('exit', () => {
      done();
    });
  });
  const read = (stream: Readable, name: 'stdout' | 'stderr') =>
    new Promise<void>((done) => {
      const lines = createInterface({ input: stream, crlfDelay: Infinity });
      lines.on('line', (line) => onLine?.(line, name));
      lines.once('close', done);
    });
  const ends = [
    ...(onLine && child.stdout ? [read(child.stdout, 'stdout')] : []),
    ...(onLine && isReadable(errors) ? [read(errors, 'stderr')] : []),
  ];
  await exited;
  // A process that was left running in the background may hold the outputs open for ever.
  const patience = new AbortController();
  await Promise.race([
    Promise.all(ends),
    sleep(LAST_LINES_MS, undefined, { signal: patience.signal }).catch(() => undefined),
  ]).finally(() => {
    patience.abort();
  });
}

/** How long what a command printed may need to arrive after its end. */
const LAST_LINES_MS = 1000;

function isReadable(stream: unknown): stream is Readable {
  return stream instanceof Duplex || stream instanceof Readable;
}
