import { describe, expect, it } from 'vitest';
import { matchesGlob, nearestNames } from '../../src/policy/glob.js';

describe('matchesGlob', () => {
  it.each<[string, string, boolean]>([
    ['conv1', 'conv1', true],
    ['conv1', 'conv12', false],
    ['conv1', 'a/conv1', false],
    ['*conv1', 'a/conv1', true],
    ['conv*', 'conv', true],
    ['*/conv?/*', '/a/b/conv3/Conv', true],
    ['conv?', 'conv', false],
    ['a.b', 'axb', false],
    ['a[0]+(b)|c$', 'a[0]+(b)|c$', true],
    ['a*c', 'a\nb\nc', true],
  ])('of %s and %j is %s', (pattern, name, expected) => {
    expect(matchesGlob(pattern, name)).toBe(expected);
  });
});

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
