import { describe, expect, it } from 'vitest';
import { nearestNames } from '../src/nearestNames.js';

describe('nearestNames', () => {
  // Distances by hand: Levenshtein's, to the nearest part of each name.
  it.each<[string, readonly string[], readonly string[]]>([
    ['conv', ['abc', 'xconvx', 'conf'], ['xconvx', 'conf', 'abc']],
    // One replacement, one letter too few, one too many: the shortest name of the three comes first.
    ['abcd', ['zzabxdzz', 'zabdz', 'abxcdzz'], ['zabdz', 'abxcdzz', 'zzabxdzz']],
    // kitten and sitting: three steps, but two to a part; "mitten" one.
    ['kitten', ['sitting', 'mitten'], ['mitten', 'sitting']],
    ['CONV*', ['gemm', 'Conv'], ['Conv', 'gemm']],
    ['ab', ['', 'b', 'xy'], ['b', '', 'xy']],
    ['abc', ['bca', 'cab', 'acb', 'a'], ['bca', 'cab', 'acb', 'a']],
  ])('of %s are, of %j, %j', (wanted, names, expected) => {
    expect(nearestNames(wanted, names, names.length)).toEqual(expected);
  });

  it('are no more than were asked for', () => {
    expect(nearestNames('b', ['a', 'b', 'c'], 2)).toEqual(['b', 'a']);
  });
});
