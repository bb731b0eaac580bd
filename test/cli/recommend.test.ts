import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { drawPictures } from '../../src/data/pictures.js';
import { SMALL_CNN } from '../models.js';
import { cli, expectRefusal, folder } from './cli.js';

const work = folder();
const common = ['--model', SMALL_CNN, '--data', 'photos', '--epochs', '2', '--threads', '2'];
const ask = (...args: string[]) => cli(['recommend', ...common, '--policies', 'F1C0,F1C1', ...args], work);

beforeAll(async () => {
  await drawPictures(join(work, 'photos'), { set: 'demo', trainPerClass: 24, valPerClass: 5, size: 48, seed: 2 });
});

describe('ort-tl recommend', () => {
  it('prints the table that it decided from, why, and the command to run next', () => {
    const { status, stdout } = ask('--time', '10m', '--batch', '16');
    expect(status).toBe(0);
    expect(stdout).toMatch(/policy +trains +predicted top-1 % +trained +predicted s +memory +J +loses +within 1.0/);
    expect(stdout).toMatch(/^F1C1 +148,478 /m);
    expect(stdout).toMatch(/took .* of what training by every policy is predicted to take/);
    expect(stdout).toMatch(
      /\nort-tl train --model \S+small_cnn.onnx --data photos --epochs 2 --threads 2 --batch 16 --policy F1C[01]\n$/,
    );
  });

  it('prints JSON alone with --json', () => {
    const { status, stdout } = ask('--json', '--energy', '1000kJ', '--watts', '5');
    expect(status).toBe(0);
    const result = JSON.parse(stdout) as { policy: string; policies: object[]; energyEstimated: boolean };
    expect(result.policy).toMatch(/^F1C[01]$/);
    expect(result.policies).toHaveLength(2);
    expect(result.energyEstimated).toBe(true);
  });

  it('refuses limits that cannot be kept, and values that are none', () => {
    expectRefusal(ask('--time', '1ms', '--quiet'), /no policy stays inside the limits/);
    expectRefusal(ask('--time', 'soon'), /expected a duration/);
    expectRefusal(ask('--energy', 'lots', '--watts', '5'), /expected an energy such as 500J/);
    expectRefusal(ask('--effort', '0'), /expected a number above 0/);
    expectRefusal(cli(['recommend', ...common, '--quiet', '--policies', 'F9C9x'], work), /expected a policy such as/);
  });
});

describe('ort-tl train --policy auto', () => {
  const auto = (...args: string[]) => cli(['train', ...common, '--policy', 'auto', '--no-cache', ...args], work);

  it('trains what it recommends, and keeps the choice in the run, so that it is not made again', () => {
    const { status, stdout } = auto('--out', 'auto');
    expect(status).toBe(0);
    const { policy } = parse(readFileSync(join(work, 'auto', 'args.yaml'), 'utf8')) as { policy: string };
    const chosen = JSON.parse(readFileSync(join(work, 'auto', 'recommendation.json'), 'utf8')) as { policy: string };
    expect(policy).toBe(chosen.policy);
    expect(stdout).toContain(`\npolicy ${policy}: `);
    const again = cli(['train', '--resume', 'auto'], work);
    expect(again.status).toBe(0);
    expect(again.stdout).not.toContain('held-out');
    // Found before anything is measured.
    const used = auto('--out', 'auto');
    expectRefusal(used, /holds a run already/);
    expect(used.stdout).not.toContain('whole training would take');
  });
});

describe('ort-tl compare', () => {
  it('sets runs side by side, over seeds, and writes a page', () => {
    for (const policy of ['F1C0', 'F1C1'])
      for (const seed of ['0', '1'])
        expect(
          cli(
            ['train', ...common, '--policy', policy, '--seed', seed, '--out', `runs/${policy}-${seed}`, '--quiet'],
            work,
          ).status,
        ).toBe(0);
    const runs = ['F1C0-0', 'F1C0-1', 'F1C1-0', 'F1C1-1'].map((name) => `runs/${name}`);
    const { status, stdout } = cli(['compare', ...runs, '--html', 'page.html'], work);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^F1C0 +0,1 +\d+\.\d ± \d+\.\d /m);
    expect(stdout).toMatch(/Difference from F1C0/);
    expect(stdout).toMatch(/^policy +F1C0 +F1C1$/m);
    expect(existsSync(join(work, 'page.html'))).toBe(true);
    const json = JSON.parse(cli(['compare', ...runs, '--json'], work).stdout) as { differences: { pairs: number }[] };
    expect(json.differences.map(({ pairs }) => pairs)).toEqual([2]);
  });

  it('refuses what is no run, and a run alone', () => {
    expectRefusal(cli(['compare', 'photos', 'auto'], work), /photos is no finished run/);
    expectRefusal(cli(['compare', 'auto'], work), /expected two runs or more/);
  });
});
