import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { guardMemory } from '../../src/cli/memoryGuard.js';
import type { MachineError } from '../../src/errors.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** What is told while this much of 1000 MB is taken, one after another. */
function toldOf(used: () => number): MachineError[] {
  const told: MachineError[] = [];
  guardMemory({ bytes: 1e9, used }, (error) => told.push(error));
  return told;
}

it('tells once, before all is taken, how much that is and what to do', () => {
  let megabytes = 100;
  const told = toldOf(() => megabytes * 1e6);
  for (; megabytes < 1000; megabytes += 10) vi.advanceTimersByTime(200);
  expect(told).toHaveLength(1);
  expect(told[0]?.code).toBe('out-of-memory');
  expect(told[0]?.message).toMatch(/970 MB of the 1000 MB .* are taken; give it more/);
});

it('tells at once where there is none left at the beginning', () => {
  expect(toldOf(() => 0.99e9)).toHaveLength(1);
});

it('looks more often, the more is taken', () => {
  let [share, looks] = [0.1, 0];
  toldOf(() => {
    looks++;
    return share * 1e9;
  });
  const looksIn = (ms: number) => {
    const before = looks;
    vi.advanceTimersByTime(ms);
    return looks - before;
  };
  expect(looksIn(1000)).toBe(5);
  share = 0.9;
  vi.advanceTimersByTime(200);
  expect(looksIn(1000)).toBe(200);
});

it('says nothing while enough is left', () => {
  const told = toldOf(() => 0.95e9);
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual([]);
});
