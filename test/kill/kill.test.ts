import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { killCases } from './cases.js';
import { killTest, type Way } from './killTest.js';
import { makeScenery, type Scenery } from './scenery.js';

/** Another seed than that of `npm run test:kill`, which takes every verb and thirty moments: this adds to them. */
const SEED = 20;

describe.skipIf(process.platform !== 'linux')('a command that is interrupted at any moment', () => {
  const root = mkdtempSync(join(tmpdir(), 'ort-tl-kill-'));
  let scenery: Scenery;
  beforeAll(async () => {
    scenery = await makeScenery(join(root, 'scenery'), 8);
  });

  it.each<[string, Way[]]>([
    ['train-F1C1', ['int', 'kill', 'twice', 'limit']],
    ['export-int8', ['term']],
    ['explain', ['kill']],
  ])('%s ends soon, leaves nothing that matters, and comes to the same bits afterwards', async (name, ways) => {
    const cases = killCases({ scenery, scale: 0.5 }).filter((each) => each.name === name);
    const { rows, faults } = await killTest({
      cases,
      ways,
      times: 1,
      seed: SEED,
      lanes: Math.min(2, ways.length),
      root,
    });
    expect(faults).toEqual([]);
    expect(rows.map(({ way }) => way)).toEqual(ways);
  });
});
