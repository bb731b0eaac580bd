import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HubServer } from '../hub/hubServer.js';
import { killCases } from './cases.js';
import { pulling, startHub } from './pulling.js';
import { killTest, type Way } from './killTest.js';
import { makeScenery, type Scenery } from './scenery.js';

/** Another seed than that of `npm run test:kill`, which takes every verb and thirty moments: this adds to them. */
const SEED = 20;

describe.skipIf(process.platform !== 'linux')('a command that is interrupted at any moment', () => {
  const root = mkdtempSync(join(tmpdir(), 'ort-tl-kill-'));
  let scenery: Scenery;
  let hub: HubServer;
  beforeAll(async () => {
    hub = await startHub();
    scenery = await makeScenery(join(root, 'scenery'), 8);
  });
  afterAll(() => hub.stop());

  it.each<[string, Way[]]>([
    ['train-F1C1', ['int', 'kill', 'twice', 'limit']],
    ['export-int8', ['term']],
    ['explain', ['kill']],
    ['models-pull', ['term', 'kill']],
  ])('%s ends soon, leaves nothing that matters, and comes to the same bits afterwards', async (name, ways) => {
    const cases = [...killCases({ scenery, scale: 0.5 }), pulling(hub)].filter((each) => each.name === name);
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
