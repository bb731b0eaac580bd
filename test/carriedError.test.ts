import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { carried, revived } from '../src/carriedError.js';
import { MachineError, UserError } from '../src/errors.js';

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
};
/** As a message between threads or processes does it. */
const across = (thrown: unknown) => revived(structuredClone(carried(thrown)));

it('gives an error back with its class, code, stack and causes', () => {
  const cause = thrownBy(() => readFileSync('/nowhere'));
  const error = new UserError('bad-cache', 'cannot read it', { cause });
  const back = across(error);
  expect(back).toBeInstanceOf(UserError);
  expect(back).toMatchObject({ code: 'bad-cache', message: 'cannot read it', name: 'UserError', stack: error.stack });
  expect(back.cause).toBeInstanceOf(Error);
  expect(back.cause).toMatchObject({ code: 'ENOENT', stack: (cause as Error).stack });
  expect(across(new MachineError('out-of-files', 'no more'))).toBeInstanceOf(MachineError);
  expect(across(new RangeError('too far'))).toMatchObject({ name: 'RangeError', message: 'too far' });
});

it('takes anything that was thrown, and an error that is its own cause', () => {
  expect(across('a word')).toMatchObject({ name: 'Error', message: 'a word' });
  const round = new Error('round');
  round.cause = round;
  expect(across(round)).toMatchObject({ message: 'round' });
});
