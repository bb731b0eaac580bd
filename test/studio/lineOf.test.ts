import { expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { lineOf } from '../../src/studio/server/lineOf.js';

it('tells an error without the settings of the command line that would mend it', () => {
  const error = new UserError('no-photos', 'no photos in pics (‹data›); name another ‹data›, or add some');
  expect(lineOf(error)).toBe('no photos in pics; name another data, or add some');
});
