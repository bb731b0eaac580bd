import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commandList.js';
import { overview } from '../../src/cli/overview.js';
import { cli } from './cli.js';

const words = (text: string) => text.split(/\s+/).join(' ');

describe('the overview', () => {
  it('is what ort-tl shows without a command', () => {
    for (const word of ['--help', 'help', '-h'])
      expect(cli([word])).toMatchObject({ status: 0, stdout: `${overview(COMMANDS, 110)}\n` });
  });

  it.each([30, 50, 80, 110])('names each command and what it does, in lines of up to %i characters', (width) => {
    const shown = overview(COMMANDS, width);
    for (const line of shown.split('\n')) expect(line.length, line).toBeLessThanOrEqual(Math.max(width, 40));
    for (const { usage, describe: about } of COMMANDS)
      for (const part of [`ort-tl ${usage}`, about.split(' ')[0] ?? '']) expect(words(shown)).toContain(part);
    if (width >= 80)
      for (const { describe: about } of COMMANDS)
        expect(words(shown)).toContain(about.split(' ').slice(0, 4).join(' '));
  });
});
