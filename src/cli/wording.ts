const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^Not enough arguments following: (.*)$/, 'expected a value after --$1'],
  [/^Missing required arguments?: (.*)$/, 'expected --$1; see --help'],
  [/^Unknown (?:argument|command)s?: (.*)$/, 'there is no `$1` here; see --help'],
  [/^Not enough non-option arguments: .*$/, 'expected a model or a run; see --help'],
  [/^Arguments (.*) and (.*) are mutually exclusive$/, 'expected --$1 or --$2, not both'],
  [/^Invalid values:\s+Argument: (.*?), Given: (.*?), Choices: (.*)$/s, 'expected one of $3, got $2 (--$1)'],
];

/** What yargs says, in our words. */
export function inOurWords(message: string): string {
  const [pattern, words] = WORDS.find(([each]) => each.test(message)) ?? [/^/, ''];
  return message.replace(pattern, words);
}
