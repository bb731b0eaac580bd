import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { POOL_VARIABLE, wantedPoolSize } from '../../src/threadPool.js';
import { ALLOCATION, userEnvironment } from '../../src/runtime/userEnvironment.js';

const before = process.env[ALLOCATION.name];
afterEach(() => {
  if (before === undefined) Reflect.deleteProperty(process.env, ALLOCATION.name);
  else process.env[ALLOCATION.name] = before;
});

it('a command of the user has not what the first line of ours sets, and keeps what he has set', () => {
  const [first = ''] = readFileSync(new URL('../../src/cli/start.ts', import.meta.url), 'utf8').split('\n');
  expect(first).toContain(` ${ALLOCATION.name}=${ALLOCATION.value} node `);
  process.env[ALLOCATION.name] = ALLOCATION.value;
  expect(userEnvironment()[ALLOCATION.name]).toBeUndefined();
  process.env[ALLOCATION.name] = '1';
  expect(userEnvironment()[ALLOCATION.name]).toBe('1');
});

it('nor the number of threads that the command gives itself', () => {
  const given = process.env[POOL_VARIABLE];
  try {
    process.env[POOL_VARIABLE] = String(wantedPoolSize());
    expect(userEnvironment()[POOL_VARIABLE]).toBeUndefined();
    process.env[POOL_VARIABLE] = '3';
    expect(userEnvironment()[POOL_VARIABLE]).toBe('3');
  } finally {
    if (given === undefined) Reflect.deleteProperty(process.env, POOL_VARIABLE);
    else process.env[POOL_VARIABLE] = given;
  }
});
