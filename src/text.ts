/** Scripts whose letters ask for a joiner or a non-joiner between them, as Persian and Hindi words do. */
const JOINING = `[${[
  ...['Adlam', 'Arabic', 'Balinese', 'Bengali', 'Devanagari', 'Gujarati', 'Gurmukhi', 'Javanese', 'Kannada', 'Khmer'],
  ...['Malayalam', 'Mandaic', 'Mongolian', 'Myanmar', 'Nko', 'Oriya', 'Phags_Pa', 'Sinhala', 'Syriac', 'Tamil'],
  ...['Telugu', 'Tibetan'],
]
  .map((script) => `\\p{scx=${script}}`)
  .join('')}]`;

/** Characters that show nothing by themselves, where they belong to what stands beside them. */
const BELONGING = [
  // Flags of regions, such as Scotland's.
  '\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]+\\u{e007f}',
  // Emoji in colour or in black, and those that are joined to one, such as families.
  '(?<=\\p{Emoji})[\\ufe0e\\ufe0f]',
  '(?<=[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])\\u200d(?=\\p{Extended_Pictographic})',
  // Forms of one character.
  '(?<=\\p{sc=Han})[\\ufe00-\\ufe02\\u{e0100}-\\u{e01ef}]',
  '(?<=\\p{sc=Mongolian})[\\u180b-\\u180d\\u180f]',
  `(?<=${JOINING})[\\u200c\\u200d](?=${JOINING})`,
];

/**
 * Controls, separators of lines, halves of characters, and what shows nothing: among it the marks, embeddings, overrides and isolates that
 * turn the direction of text (Unicode Technical Report 36).
 */
const HIDDEN = '[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\ufff9-\\ufffb]';
const pattern = new RegExp(`${BELONGING.join('|')}|(${HIDDEN})`, 'gu');
const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/**
 * `text` from outside as it may be shown, logged or written into a table: what a terminal would obey, what would turn the text around it,
 * and what nobody would see stands as an escape, such as `\x1b`, `\n`, `\u202e` or `\u{e0041}`. Text in any script, and emoji, stay as they
 * are; so does a backslash.
 */
export function visible(text: string): string {
  return text.replaceAll(pattern, (whole, hidden: string | undefined) =>
    hidden === undefined ? whole : escape(hidden),
  );
}

/** Makes each line of a text of several lines {@link visible}. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

function escape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code > 0xffff) return `\\u{${hex}}`;
  return SHORT[character] ?? (code > 0xff ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`);
}

/** `value` as JSON that shows what {@link visible} shows, by JSON's own escapes: who parses it gets the exact value. */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replaceAll(pattern, (whole, hidden: string | undefined) =>
    hidden === undefined || hidden === '\n'
      ? whole
      : Array.from(
          { length: hidden.length },
          (_, at) => `\\u${hidden.charCodeAt(at).toString(16).padStart(4, '0')}`,
        ).join(''),
  );
}

/** What spreadsheets take for the beginning of a formula, also when it is typed in full width. */
const FORMULA = /^[=+\-@＝＋－＠]./su;

/**
 * A line of CSV (RFC 4180) without its end: text as {@link visible} shows it, in quotes where it holds what would part it, and behind an
 * apostrophe where a spreadsheet would compute it.
 */
export function csvLine(cells: readonly (string | number)[]): string {
  return cells
    .map((cell) => (typeof cell === 'number' ? String(cell) : quoted(FORMULA.test(cell) ? `'${cell}` : cell)))
    .join(',');
}

/** A path as a cell of {@link csvLine}: `./` keeps a spreadsheet from computing it, and names the same file. */
export function csvPath(path: string): string {
  return FORMULA.test(path) ? `./${path}` : path;
}

function quoted(text: string): string {
  const shown = visible(text);
  return /[",;]|^\s|\s$/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

/** `word`, quoted so that a shell takes it for one word. */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** 20261125-091500, in local time: what the name of a run begins with. */
export function timestamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}
