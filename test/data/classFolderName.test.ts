import { describe, expect, it } from 'vitest';
import { classFolderName } from '../../src/data/classFolderName.js';

describe('the name of a class', () => {
  it('may be nearly anything, in the composed form of Unicode', () => {
    for (const name of ['cat', 'Große Katze', '猫', '🐈', 'train station', 'tools', "'; DROP TABLE", '100 %'])
      expect(classFolderName(name, ['dog'])).toBe(name);
    expect(classFolderName('cafe\u0301', [])).toBe('caf\u00e9');
    expect(classFolderName('cat', ['cat'])).toBe('cat');
  });

  it.skipIf(process.platform === 'win32')('may be markup where the system has such folders', () => {
    expect(classFolderName('<img src=x onerror=alert(1)>', [])).toBe('<img src=x onerror=alert(1)>');
  });

  it.each([
    ['', 'missing'],
    ['x'.repeat(101), '100 characters'],
    ['猫'.repeat(90), 'too long'],
    ['a/b', 'slash'],
    ['a\\b', 'slash'],
    ['a\nb', 'control'],
    ['a\0', 'control'],
    ['..', 'dot'],
    ['.git', 'dot'],
    ['cat ', 'space'],
    ['C:', 'drive'],
    ['@eaDir', 'systems'],
    ['$RECYCLE.BIN', 'systems'],
    ['train', 'part'],
    ['Test_Set', 'part'],
    ['left_train', 'part'],
    ['un-labelled', 'no class'],
    ['CAT', 'apart from "cat"'],
    ['ｃａｔ', 'apart from "cat"'],
  ])('is not %j: %s', (name, reason) => {
    expect(() => classFolderName(name, ['cat', 'left_test'])).toThrow(reason);
  });
});
