import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { inFlags } from '../../src/cli/wording.js';
import { type Flag, flagsOf, type SchemaShape } from '../../src/settings.js';
import { compileFlagSettings } from '../../src/artifacts/compileSettings.js';
import { recommendSettings } from '../../src/recommend/recommendSettings.js';
import { trainFlagSettings } from '../../src/train/trainOptions.js';

const page = fileURLToPath(new URL('../../docs/settings.md', import.meta.url));

const cell = (text: string) => text.replaceAll('|', '\\|');

/** What a setting has where it is not given. */
function defaultOf({ default: value, kind }: Flag): string {
  if (value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0))
    return '';
  return kind.type === 'boolean' ? '' : `\`${JSON.stringify(value).replaceAll('"', '')}\``;
}

function table(shape: SchemaShape): string[] {
  const rows = flagsOf(shape).map((flag) => [
    `\`--${flag.flag}\``,
    inFlags(flag.help),
    flag.kind.type === 'boolean' ? 'a switch' : flag.expected.replace(/^one of /, ''),
    defaultOf(flag),
    flag.isIncidental ? 'yes' : '',
  ]);
  return [
    ['flag', 'what it does', 'values', 'default', 'beside `--resume`'],
    ['---', '---', '---', '---', '---'],
    ...rows,
  ].map((row) => `| ${row.map(cell).join(' | ')} |`);
}

/** docs/settings.md, as the schemas have it. */
const text = [
  '# Settings',
  '',
  'Every setting by its flag. `ort-tl train` takes all of the first table, on the command line and, by the same names without dashes, in',
  "a settings file (`--config`) and under a suite's `train`. A program gives them by the keys of `TrainOptions`, which are the flags in",
  'camel case but for `lr` (`learningRate`), `lr-mult` (`learningRateMultipliers`), `warmup` (`warmupEpochs`), `ema` (`averageDecay`), `bn` (`batchNorm`),',
  '`memory` (`memoryBytes`), `time-limit` (`timeLimitMs`) and `cache-dtype` (`boundaryDtype`). What stands beside `--resume` changes nothing of what a run learns.',
  '',
  '<!-- Made from the schemas: npx vitest run test/docs/settings.test.ts -u -->',
  '',
  '## Of a training',
  '',
  ...table(trainFlagSettings),
  '',
  '## Of `ort-tl recommend`, beside these',
  '',
  ...table(recommendSettings),
  '',
  `\`ort-tl compile\` takes ${flagsOf(compileFlagSettings)
    .map(({ flag }) => `\`--${flag}\``)
    .join(', ')}.`,
  '',
].join('\n');

it('docs/settings.md says what the schemas say', async () => {
  await expect(text).toMatchFileSnapshot(page);
});
