import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { addEnergy, energyOfRun, startEnergy } from '../../src/studio/server/runEnergy.js';
import { powercap } from '../energy/powercap.js';

it('measures what the machine draws by its counters, and adds up what a run took in all its parts', async () => {
  const tree = powercap({ 'intel-rapl:0': { name: 'package-0', energyUj: 1_000_000 } });
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  const first = await startEnergy({ energy: 'rapl', powercap: tree.root });
  tree.set('intel-rapl:0', 31_000_000);
  const energy = await first?.stop();
  expect(energy).toEqual({ grossJ: 30, sources: ['rapl'] });
  if (!energy) return;
  await addEnergy(folder, energy, false);
  await addEnergy(folder, { ...energy, grossJ: 12 }, true);
  expect(await energyOfRun(folder)).toEqual({ grossJ: 42, sources: ['rapl'] });
  await addEnergy(folder, energy, false);
  expect((await energyOfRun(folder))?.grossJ).toBe(30);
});

it('tells nothing where nothing measures, or where a part of a run was not measured', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  expect(await startEnergy({ energy: 'rapl', powercap: join(folder, 'none') })).toBeUndefined();
  await addEnergy(folder, { grossJ: 5, sources: ['rapl'] }, true);
  expect(await energyOfRun(folder)).toBeUndefined();
});
