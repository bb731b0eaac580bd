import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { csvLine, csvPath, jsonText, visible, visibleLines } from '../src/text.js';

describe('what comes from outside', () => {
  it.each([
    // ECMA-48: a window's title, a screen that is cleared, the same with the one-byte introducer.
    ['\u001b]0;x\u0007', '\\x1b]0;x\\x07'],
    ['\u001b[2J', '\\x1b[2J'],
    ['\u009b2J', '\\x9b2J'],
    ['a\rb\nc\td\u007f\0', 'a\\rb\\nc\\td\\x7f\\x00'],
    ['\u2028\u2029', '\\u2028\\u2029'],
    // CVE-2021-42574: what turns text around.
    ['\u202aa\u202bb\u202cc\u202dd\u202e', '\\u202aa\\u202bb\\u202cc\\u202dd\\u202e'],
    ['\u2066\u2067\u2068\u2069\u200e\u200f\u061c', '\\u2066\\u2067\\u2068\\u2069\\u200e\\u200f\\u061c'],
    // What nobody sees.
    ['c\u200bat\u200d \u2060\ufeff\u00ad\u3164', 'c\\u200bat\\u200d \\u2060\\ufeff\\xad\\u3164'],
    ['a\u{e0041}\ufe0f', 'a\\u{e0041}\\ufe0f'],
    ['\ud83d', '\\ud83d'],
  ])('is shown by escapes where it would not be seen, or be obeyed: %j', (text, shown) => {
    expect(visible(text)).toBe(shown);
    // However often it passes.
    expect(visible(shown)).toBe(shown);
  });

  it('shows every control and every bidirectional character of Unicode, and no other below U+3000 that has a glyph', () => {
    const isShown = (code: number) => visible(String.fromCodePoint(code)) !== String.fromCodePoint(code);
    const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at);
    // The Unicode Character Database: general category Cc, and property Bidi_Control.
    for (const code of [...range(0, 0x1f), ...range(0x7f, 0x9f), 0x61c, 0x200e, 0x200f, ...range(0x202a, 0x202e)])
      expect(isShown(code), code.toString(16)).toBe(true);
    for (const code of range(0x2066, 0x2069)) expect(isShown(code), code.toString(16)).toBe(true);
    // ASCII, Latin-1 but for its soft hyphen, Greek, Hebrew's letters, Arabic's, and the Arabic signs that are of category Cf.
    const glyphs = [range(0x20, 0x7e), range(0xa0, 0xac), range(0xae, 0x377), range(0x5d0, 0x5ea), range(0x600, 0x605)];
    for (const code of [...glyphs.flat(), ...range(0x620, 0x6ff)])
      if (code !== 0x34f) expect(isShown(code), code.toString(16)).toBe(false);
  });

  it.each([
    'photos/Größe 1.jpg',
    'C:\\photos\\new.jpg',
    'قطة',
    'חתול',
    // Persian with its non-joiner, Hindi with a joiner.
    'می\u200cخواهم',
    'क्\u200dष',
    '猫 고양이 ねこ',
    // A family, a heart on fire, a key, Scotland's flag, a skin tone before a joiner.
    '👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 1\ufe0f⃣ 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} 👩🏽\u200d🚀',
    // Another form of a character.
    '葛\u{e0100}城',
    'e\u0301',
  ])('stays as it is in any script: %s', (text) => {
    expect(visible(text)).toBe(text);
  });

  it('keeps its lines where it has several', () => {
    expect(visibleLines('a\u001b\nb\r\n')).toBe('a\\x1b\nb\\r\n');
  });
});

describe('JSON', () => {
  it('has no character that a terminal would obey, and the exact values', () => {
    const value = {
      'a\u202e': ['\u001b]0;x\u0007', '\u009b2J', '\u2028', '\ud83d', '\u{e0041}', '👨\u200d👩', 'é'],
      b: { c: 1 },
    };
    for (const indent of [0, 2]) {
      const text = jsonText(value, indent);
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e\ud83d\u{e0041}]/u);
      expect(JSON.parse(text)).toEqual(value);
    }
    expect(jsonText(value, 2)).toContain('\n  "a\\u202e": [\n    "\\u001b]0;x\\u0007",\n    "\\u009b2J",');
    expect(jsonText(['\u{e0041}', '👨\u200d👩'])).toBe('["\\udb40\\udc41","👨\u200d👩"]');
  });
});

describe('CSV', () => {
  it('gives back its cells, escaped, however they are written', () => {
    const cells = ['a', 'a,b', 'a"b', 'a;b', ' a ', 'a\nb', 'a\u202eb', '', 1.5, -2];
    const [row] = parse(csvLine(cells));
    expect(row).toEqual(['a', 'a,b', 'a"b', 'a;b', ' a ', 'a\\nb', 'a\\u202eb', '', '1.5', '-2']);
  });

  it('has no cell that a spreadsheet computes; numbers stay, and a path names the same file', () => {
    expect(csvLine(['=1+1', '@SUM(A1)', '+1', '-x', '＝1', '-', -1])).toBe("'=1+1,'@SUM(A1),'+1,'-x,'＝1,-,-1");
    expect(csvLine([csvPath('=cmd|x.jpg'), csvPath('-1.jpg'), csvPath('a.jpg'), csvPath('-')])).toBe(
      './=cmd|x.jpg,./-1.jpg,a.jpg,-',
    );
    // What stood before the sign is seen.
    expect(csvLine(['\t=1'])).toBe('\\t=1');
  });
});
