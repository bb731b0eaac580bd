import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CaseRequest, CaseResult, Kind } from './child.js';

export interface Failure {
  readonly index: number;
  readonly what: string;
}

export interface FuzzReport {
  /** How many cases ended in each way: `ok`, `trained`, `same`, a UserError's code, or a failure. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Any other exception, a crash, a hang, or too much memory. */
  readonly failures: readonly Failure[];
  /** An example of each outcome's message. */
  readonly examples: ReadonlyMap<string, string>;
  readonly peakRssBytes: number;
  readonly slowestMs: number;
}

const LONGEST_MS = 10_000;
const MOST_BYTES = 1e9;

/**
 * Carries out cases `first` … `first + count` of `seed` in a child process, so that a crash, a hang and memory are seen from
 * outside; a child that failed is replaced.
 */
export async function fuzz(kind: Kind, seed: number, count: number, first = 0): Promise<FuzzReport> {
  const outcomes = new Map<string, number>();
  const examples = new Map<string, string>();
  const failures: Failure[] = [];
  let [peakRssBytes, slowestMs] = [0, 0];
  let child = await start();
  for (let index = first; index < first + count; index++) {
    const began = performance.now();
    const result = await ask(child, { kind, seed, index });
    const elapsedMs = performance.now() - began;
    slowestMs = Math.max(slowestMs, elapsedMs);
    let outcome = typeof result === 'string' ? result : (result.outcome ?? 'exception');
    let what = typeof result === 'string' ? result : `${result.changes.join(', ')}: ${result.message}`;
    if (typeof result !== 'string') {
      peakRssBytes = Math.max(peakRssBytes, result.peakRssBytes);
      if (result.peakRssBytes > MOST_BYTES) [outcome, what] = ['memory', `over 1 GB; ${what}`];
    }
    const failed = ['exception', 'memory', 'hang'].includes(outcome) || outcome.startsWith('crash');
    if (failed) failures.push({ index, what });
    if (outcome === 'memory' || typeof result === 'string') {
      child.kill('SIGKILL');
      child = await start();
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (!examples.has(outcome)) examples.set(outcome, what);
  }
  child.kill();
  return { outcomes, failures, examples, peakRssBytes, slowestMs };
}

function start(): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('./load.js', import.meta.url)), ['./child.ts'], { execArgv: [] });
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child));
    child.once('exit', (code) => reject(new Error(`the fuzzing process ended at once, with exit code ${code ?? '?'}`)));
  });
}

function ask(child: ChildProcess, request: CaseRequest): Promise<CaseResult | 'hang' | `crash ${string}`> {
  return new Promise((resolve) => {
    const answered = (result: CaseResult) => finish(result);
    const ended = (code: number | null, signal: string | null) => finish(`crash ${signal ?? code ?? ''}`);
    const timer = setTimeout(() => finish('hang'), LONGEST_MS);
    const finish = (result: CaseResult | 'hang' | `crash ${string}`) => {
      clearTimeout(timer);
      child.off('message', answered);
      child.off('exit', ended);
      resolve(result);
    };
    child.once('message', answered);
    child.once('exit', ended);
    child.send(request);
  });
}
