import { inspect } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, expect, it } from 'vitest';
import { answerCalls, Caller, HandedOver, threadLine } from '../src/channel.js';
import { UserError } from '../src/errors.js';

const seen: string[] = [];
let openGate: () => void = () => undefined;
let isWaiting = false;
const operations = {
  join: (words: readonly string[], end: string): string => words.join(' ') + end,
  double: (numbers: Float32Array): Promise<HandedOver<Float32Array>> => {
    const doubled = numbers.map((each) => 2 * each);
    return Promise.resolve(new HandedOver(doubled, [doubled.buffer]));
  },
  wait: async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      openGate = resolve;
      isWaiting = true;
    });
    seen.push('waited');
  },
  note: (word: string): void => {
    seen.push(word);
  },
  refuse: (): never => {
    throw new UserError('bad-cache', 'cannot read it', { cause: new RangeError('too far') });
  },
};

let close: () => void = () => undefined;
afterEach(() => close());

function connected(): Caller<typeof operations> {
  const { port1, port2 } = new MessageChannel();
  close = () => port1.close();
  answerCalls(threadLine(port2), operations);
  return new Caller<typeof operations>(threadLine(port1));
}

it('gives what the operation of the other end gives', async () => {
  const caller = connected();
  expect(await caller.call('join', [['a', 'b'], '!'])).toBe('a b!');
  const numbers = Float32Array.of(1, 2);
  expect(await caller.call('double', [numbers], [numbers.buffer])).toEqual(Float32Array.of(2, 4));
  // It was handed over.
  expect(numbers).toHaveLength(0);
});

it('carries out calls one after another, in the order in which they were made', async () => {
  const caller = connected();
  const calls = [caller.call('wait', []), caller.call('note', ['later'])];
  while (!isWaiting) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(seen).toEqual([]);
  openGate();
  await Promise.all(calls);
  expect(seen).toEqual(['waited', 'later']);
});

it('throws what the operation threw, with its class, code, stack and cause', async () => {
  const thrown: unknown = await connected()
    .call('refuse', [])
    .catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(UserError);
  expect(thrown).toMatchObject({ code: 'bad-cache', message: 'cannot read it', cause: { name: 'RangeError' } });
  expect(thrown).toHaveProperty('stack', expect.stringContaining('refuse'));
  // What --debug prints.
  expect(inspect(thrown)).toMatch(/at .*refuse[^]*\[cause\]: .*RangeError\]?: too far\n\s+at /);
});

it('goes on after an operation that threw', async () => {
  const caller = connected();
  await caller.call('refuse', []).catch(() => undefined);
  expect(await caller.call('join', [['on'], ''])).toBe('on');
});

it('refuses calls that wait, and all later ones, with the first reason for which the other end is gone', async () => {
  const caller = connected();
  const waiting = caller.call('wait', []);
  const reason = new Error('it died');
  caller.end(reason);
  caller.end(new Error('it ended with exit code 1'));
  await expect(waiting).rejects.toBe(reason);
  await expect(caller.call('note', ['no'])).rejects.toBe(reason);
  expect(caller.ended).toBe(reason);
});

it('tells of a limit of the machine for which the other end is gone', async () => {
  const caller = connected();
  caller.end(new Error('it ended', { cause: new Error('std::bad_alloc') }));
  await expect(caller.call('note', ['no'])).rejects.toMatchObject({ name: 'MachineError', code: 'out-of-memory' });
});
