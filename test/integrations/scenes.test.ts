import { type ChildProcess, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, folder, main } from '../cli/cli.js';
import { EFFICIENTNET_B0, SCENES } from '../models.js';
import { killed, until } from '../processes.js';
import { Federation, python, roundsOf } from './federation.js';

const REASON =
  'skipped unless ORT_TL_FEDERATION=1, since it takes five minutes; needs the photos of the scenes, and Flower';
const PHOTOS_PER_CLASS = 100;
const DEVICES = ['one', 'two', 'three', 'four', 'five'];

/** Photos of the scenes with their classes. */
function rowsOf(part: 'train' | 'test', most = Infinity): string[][] {
  const at = join(dirname(SCENES), part);
  return readdirSync(at).flatMap((label) =>
    readdirSync(join(at, label))
      .sort()
      .slice(0, most)
      .map((name) => [join(at, label, name), label]),
  );
}

describe.skipIf(!python || process.env['ORT_TL_FEDERATION'] !== '1')(
  `five devices with photos of scenes (${REASON})`,
  () => {
    const work = folder();
    const at = (name: string) => join(work, name);
    const devices = new Map<string, ChildProcess>();
    let federation: Federation;
    let central: number;

    const list = (name: string, train: string[][], val: string[][]) => {
      const lines = [...train.map((row) => [...row, 'train']), ...val.map((row) => [...row, 'val'])];
      writeFileSync(at(name), ['path,label,split', ...lines.map((line) => line.join(','))].join('\n'));
      return at(name);
    };

    beforeAll(async () => {
      const [train, test] = [rowsOf('train', PHOTOS_PER_CLASS), rowsOf('test')];
      const classes = [...new Set(train.map(([, label]) => label))].join(',');
      const compiled = ['compile', '--model', EFFICIENTNET_B0, '--policy', 'F1C1', '--classes', classes];
      expect(cli([...compiled, '--out', at('artifacts')], work).status).toBe(0);
      const all = ['fit', at('artifacts'), '--data', list('all.csv', train, test), '--epochs', '10'];
      const fitted = spawnSync(process.execPath, [main, ...all, '--cache', at('features'), '--out', at('central')]);
      expect(fitted.status, String(fitted.stderr)).toBe(0);
      central = (JSON.parse(readFileSync(at('central/fit.json'), 'utf8')) as { after: { top1: number } }).after.top1;
      federation = await Federation.start(work);
      for (const [index, name] of DEVICES.entries()) {
        const own = train.filter((_, place) => place % DEVICES.length === index);
        const photos = list(`${name}.csv`, own, []);
        devices.set(name, await federation.join({ name, artifacts: at('artifacts'), photos }));
      }
    }, 600_000);

    afterAll(() => federation.stop());

    /** Runs to a round. */
    const run = (rounds: number) =>
      federation.run({
        ...{ artifacts: at('artifacts'), photos: list('test.csv', [], rowsOf('test')), out: at('kept') },
        ...{ 'min-devices': 3, 'evaluate-every': 0, rounds },
      });

    it('come within 1.5 points of central training in ten rounds', { timeout: 600_000 }, async () => {
      await run(10);
      const last = roundsOf(at('kept'))[10];
      console.log(`central ${central}, federated ${last?.atTheServer.top1}, bytes ${JSON.stringify(last?.bytes)}`);
      expect(Object.keys(last?.devices ?? {})).toHaveLength(5);
      expect(last?.atTheServer.top1).toBeGreaterThan(central - 0.015);
    });

    it('go on when two of them are killed in the middle of a round', { timeout: 600_000 }, async () => {
      const ended = run(13);
      await until(() => roundsOf(at('kept')).length > 11);
      for (const [name, device] of devices) if (['two', 'four'].includes(name)) await killed(device);
      await ended;
      const [, , before, after] = roundsOf(at('kept')).slice(9);
      expect(Object.keys(before?.devices ?? {}).sort()).toEqual([...DEVICES].sort());
      expect(Object.keys(after?.devices ?? {}).sort()).toEqual(['five', 'one', 'three']);
    });
  },
);
