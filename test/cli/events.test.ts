import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawPictures } from '../../src/data/pictures.js';
import { readJobEvent } from '../../src/studio/server/jobEvents.js';
import { SMALL_CNN } from '../models.js';
import { cli, cliHere, expectRefusal, folder } from './cli.js';

const work = folder();
const common = ['--model', SMALL_CNN, '--data', 'photos', '--epochs', '2', '--threads', '1'];
const eventsOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly type: string } & Record<string, unknown>);
/** What the studio reads of the lines. */
const read = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .flatMap((line) => readJobEvent(line) ?? []);

beforeAll(async () => {
  await drawPictures(join(work, 'photos'), { set: 'demo', trainPerClass: 12, valPerClass: 4, size: 48, seed: 2 });
});

describe('--events', () => {
  it('has a training tell all that happens as lines of JSON, and nothing else', () => {
    const { status, stdout } = cli(['train', ...common, '--no-cache', '--events', '--out', 'run'], work);
    expect(status).toBe(0);
    const events = eventsOf(stdout);
    expect(events[0]).toEqual({ type: 'run', folder: 'run' });
    expect(events.at(-1)).toMatchObject({ type: 'done', summary: { epochs: 2, stopped: false } });
    const types = new Set(events.map(({ type }) => type));
    expect([...types]).toEqual(expect.arrayContaining(['compiled', 'photos', 'progress', 'epoch']));
    const points = read(stdout).flatMap(({ point }) => point ?? []);
    expect(points.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(points.every(({ top1, valLoss }) => top1 >= 0 && top1 <= 1 && valLoss > 0)).toBe(true);
  });

  it('has an export tell its progress and what was written', () => {
    const { status, stdout } = cli(['export', 'run', '--precision', 'int8', '--events', '--out', 'int8.onnx'], work);
    expect(status).toBe(0);
    expect(eventsOf(stdout).at(-1)).toMatchObject({ type: 'done', out: 'int8.onnx' });
    const { exported } = read(stdout).at(-1) ?? {};
    expect(exported?.out).toBe('int8.onnx');
    expect(exported?.agreement).toBeGreaterThan(0.5);
    expect(exported?.latencyMs).toBeGreaterThan(0);
  });

  it('has a recommendation tell what was chosen from', () => {
    const { status, stdout } = cli(['recommend', ...common, '--policies', 'F1C0,F1C1', '--events'], work);
    expect(status).toBe(0);
    const { recommendation } = read(stdout).at(-1) ?? {};
    expect(recommendation?.policies.map(({ policy }) => policy)).toEqual(['F1C0', 'F1C1']);
    expect(recommendation?.policy).toMatch(/^F1C[01]$/);
  });

  it('is not to be had with --json', async () => {
    const both = await cliHere(['train', ...common, '--json', '--events'], work);
    expectRefusal(both, /expected --json or --events, not both/);
  });
});
