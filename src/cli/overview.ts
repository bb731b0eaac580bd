import type { Command } from './verb.js';

export const ABOUT = 'Retrains the last layers of a pretrained ONNX image classifier on your photos.';
export const COMPLETION = 'print a script that completes commands and flags in bash or zsh';
export const EXIT_CODES = 'Exit codes: 0 done, 1 failure, 2 an error that you can mend, 130 or 143 stopped.';

const OPTIONS = [
  ['--help', 'show this, or what a command does: ort-tl train --help'],
  ['--debug', 'show the stack trace of an error'],
  ['--version', 'show the version'],
] as const;

/** What `ort-tl --help` shows, in lines of up to `width` characters. */
export function overview(commands: readonly Pick<Command, 'usage' | 'describe'>[], width: number): string {
  const verbs = commands.map(({ usage, describe }) => [`ort-tl ${usage}`, describe] as const);
  return [
    'ort-tl <command>',
    ...['', ...linesOf(ABOUT, width)],
    ...['', 'Commands:', ...table([...verbs, ['ort-tl completion', COMPLETION]], width)],
    ...['', 'Options:', ...table(OPTIONS, width)],
    ...['', ...linesOf(EXIT_CODES, width)],
  ].join('\n');
}

/** Fewer characters than these are no column. */
const NARROWEST = 20;

/** Rows of a name and what it stands for, which goes on under itself. */
function table(rows: readonly (readonly [string, string])[], width: number): string[] {
  const longest = Math.max(...rows.map(([name]) => name.length)) + 2;
  const room = width - longest - 2;
  return rows.flatMap(([name, text]) =>
    room < NARROWEST
      ? [`  ${name}`, ...linesOf(text, width - 4).map((line) => `    ${line}`)]
      : linesOf(text, room).map((line, index) => `  ${(index === 0 ? name : '').padEnd(longest)}${line}`),
  );
}

/** The words of a text in lines of up to `width` characters. */
function linesOf(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
