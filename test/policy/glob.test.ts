import { describe, expect, it } from 'vitest';
import { matchesGlob } from '../../src/policy/glob.js';

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
