import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.js';
import { parsePolicy, showPolicy } from '../../src/policy/policy.js';

describe('parsePolicy', () => {
  it.each(['F1C0', 'F1C1', 'F2C3', 'F12C34', 'FxC1', 'full'])('reads %s and shows it again', (source) => {
    expect(showPolicy(parsePolicy(source))).toBe(source);
  });

  it('does not mind the case', () => {
    expect(parsePolicy('f1c2')).toEqual({ kind: 'last', fcs: 1, convs: 2 });
    expect(parsePolicy('FXC1')).toEqual({ kind: 'last', fcs: 'all', convs: 1 });
    expect(parsePolicy('Full')).toEqual({ kind: 'full' });
  });

  it.each(['', 'F0C1', 'C1', 'F1', 'F1C', 'F-1C1', 'F1C1 ', 'all'])('refuses "%s"', (source) => {
    expect(() => parsePolicy(source)).toThrow(UserError);
  });
});
