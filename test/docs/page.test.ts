import { describe, expect, it } from 'vitest';
import { blocksOf, commandsOf, firstMissing } from './page.js';

describe('a page', () => {
  it('has fenced and indented code, also inside a list, with the lines it begins at', () => {
    const page = [
      'text',
      '',
      '    npm test',
      '',
      '```sh',
      'a \\',
      '  b',
      '# no command',
      'c # exits with 2',
      '```',
      '',
    ];
    const blocks = blocksOf([...page, '- item', '', '  ```text', '  x', '    y', '  ```'].join('\n'));
    expect(blocks).toEqual([
      { language: 'indented', lines: ['npm test'], line: 3 },
      { language: 'sh', lines: ['a \\', '  b', '# no command', 'c # exits with 2'], line: 5 },
      { language: 'text', lines: ['x', '  y'], line: 14 },
    ]);
    expect(blocks.flatMap((block) => (block.language === 'sh' ? commandsOf(block) : []))).toEqual([
      { source: 'a    b', exitCode: 0 },
      { source: 'c # exits with 2', exitCode: 2 },
    ]);
  });
});

describe('what a page shows', () => {
  const printed = 'first 12 photos\n\nepoch 1/2  loss 1.5  800 ms\nepoch 2/2  loss 1.25  1.2 s\nwrote /tmp/x, 3.1 kB\n';

  it.each([
    'first 360 photos\nepoch 1/9  loss 0.1  2 min 3 s\nepoch 2/9  loss 0.1  9 ms\nwrote /tmp/x, 1.20 GB',
    'first 12 photos\n…',
    '…\nepoch 2/2 loss 1 1 s\n…',
    'first 12 …\n…\nwrote …, 3.1 kB',
  ])('is what is printed, whatever the numbers: %j', (shown) => {
    expect(firstMissing(shown, printed)).toBeUndefined();
  });

  it.each([
    ['first 12 pictures\n…', 'first <n> pictures'],
    ['first 12 photos\nwrote /tmp/x, 3.1 kB', 'wrote /tmp/x, <bytes>'],
    ['first 12 photos', 'the end, in place of epoch <n>/<n> loss <n> <time>'],
    ['…\nwrote /tmp/y, 3.1 kB', 'wrote /tmp/y, <bytes>'],
  ])('is not: %j', (shown, missing) => {
    expect(firstMissing(shown, printed)).toBe(missing);
  });
});
