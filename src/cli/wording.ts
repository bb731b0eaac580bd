import { showSettings } from '../errors.js';
import { flagNamed } from '../flagNames.js';

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^Not enough arguments following: (.*)$/, 'expected a value after --$1'],
  [/^Missing required arguments?: (.*)$/, 'expected --$1; see --help'],
  [/^Unknown (?:argument|command)s?: (.*)$/, 'there is no `$1` here; see --help'],
  [/^Arguments (.*) and (.*) are mutually exclusive$/, 'expected --$1 or --$2, not both'],
];

/** A text with flags in place of the ‹settings› that it names. */
export function inFlags(text: string): string {
  return showSettings(text, (key) => `--${flagNamed(key)}`);
}

/** What yargs says, in our words. `usage` is the command's, such as `export <run>`. */
export function inOurWords(message: string, usage = ''): string {
  const [, position = ''] = /<(\w+)/.exec(usage) ?? [];
  if (message.startsWith('Not enough non-option arguments')) return `expected <${position}>, as in: ort-tl ${usage}`;
  const [, argument = '', given = '', choices = ''] =
    /^Invalid values:\s+Argument: (.*?), Given: (.*?), Choices: (.*)$/s.exec(message) ?? [];
  if (argument !== '')
    return `expected one of ${choices}, got ${given} (${argument === position ? `<${argument}>` : `--${argument}`})`;
  const [pattern, words] = WORDS.find(([each]) => each.test(message)) ?? [/^/, ''];
  return message.replace(pattern, words);
}
