import { expect, it } from 'vitest';
import { UserError } from '../src/errors.js';
import { machineErrorOf } from '../src/machineError.js';

const withCode = (code: string, message: string) => Object.assign(new Error(message), { code });
const behind = (cause: unknown) => new UserError('unreadable-photo', 'cannot read the photo', { cause });

it.each([
  ['out-of-files', withCode('EMFILE', "EMFILE: too many open files, open 'a.jpg'")],
  ['out-of-files', behind(withCode('ENFILE', 'ENFILE: file table overflow'))],
  ['out-of-files', withCode('ERR_WORKER_INIT_FAILED', 'Worker initialization failure: EMFILE')],
  ['out-of-files', new Error('VipsForeignLoad: unable to open a.jpg: Too many open files')],
  ['out-of-memory', withCode('ENOMEM', 'ENOMEM: not enough memory, read')],
  ['out-of-memory', withCode('ERR_WORKER_OUT_OF_MEMORY', 'Worker terminated due to reaching memory limit')],
  ['out-of-memory', new RangeError('Array buffer allocation failed')],
  ['out-of-memory', new RangeError('Invalid typed array length: 99999999999')],
  ['out-of-memory', behind(new Error('std::bad_alloc'))],
  ['out-of-memory', new Error('Failed to allocate memory for requested buffer of size 102760448')],
  ['out-of-threads', withCode('EAGAIN', 'spawn /usr/bin/node EAGAIN')],
  ['out-of-threads', new Error('pthread_create failed, error code: 11 error msg: Resource temporarily unavailable')],
  ['out-of-threads', new Error('unable to create thread')],
])('takes for %s what its bearer says: %s', (code, thrown) => {
  expect(machineErrorOf(thrown)).toMatchObject({ name: 'MachineError', code, cause: thrown });
});

it.each([
  withCode('ENOENT', "ENOENT: no such file or directory, open 'a.jpg'"),
  withCode('EACCES', 'EACCES: permission denied'),
  withCode('EAGAIN', 'EAGAIN: resource temporarily unavailable, write'),
  behind(new Error('Input buffer contains unsupported image format')),
  // Names from outside stand in our own messages.
  new UserError('bad-model', 'node "std::bad_alloc" (Conv) has no weights'),
  undefined,
  'a word',
])('takes for no limit: %s', (thrown) => {
  expect(machineErrorOf(thrown)).toBeUndefined();
});

it('says which limit it was and what to do, in one line of a message of many', () => {
  const said =
    ' \n<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n';
  const { message } = machineErrorOf(new Error(said)) ?? {};
  expect(message).toMatch(/^there is not enough memory: FATAL ERROR: .* heap out of memory; give it more/);
  expect(message).not.toContain('\n');
});
