import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../src/data/gate.js';

/** Work that says when it begins and ends. */
const work = (log: string[], name: string, ms: number) => async () => {
  log.push(`${name} begins`);
  await setTimeout(ms);
  log.push(`${name} ends`);
  return name;
};

describe('Gate', () => {
  it('runs work side by side', async () => {
    const gate = new Gate();
    const log: string[] = [];
    await Promise.all([gate.beside(work(log, 'a', 5)), gate.beside(work(log, 'b', 1))]);
    expect(log).toEqual(['a begins', 'b begins', 'b ends', 'a ends']);
  });

  it('runs nothing beside what runs by itself, and gives what work gives', async () => {
    const gate = new Gate();
    const log: string[] = [];
    const given = await Promise.all([
      gate.beside(work(log, 'a', 5)),
      gate.beside(work(log, 'b', 1)),
      gate.byItself(work(log, 'alone', 3)),
      gate.byItself(work(log, 'alone too', 1)),
      gate.beside(work(log, 'late', 1)),
    ]);
    expect(given).toEqual(['a', 'b', 'alone', 'alone too', 'late']);
    expect(log.slice(0, 4).sort()).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
    expect(log.slice(4)).toEqual([
      'alone begins',
      'alone ends',
      'alone too begins',
      'alone too ends',
      'late begins',
      'late ends',
    ]);
  });

  it('goes on after work that fails', async () => {
    const gate = new Gate();
    const failing = () => Promise.reject(new Error('failed'));
    await expect(gate.beside(failing)).rejects.toThrow('failed');
    await expect(gate.byItself(failing)).rejects.toThrow('failed');
    const log: string[] = [];
    await Promise.all([gate.byItself(work(log, 'a', 1)), gate.beside(work(log, 'b', 1))]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });
});
