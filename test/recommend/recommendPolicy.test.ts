import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import type { Photo } from '../../src/data/photo.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import type { Meter } from '../../src/energy/meter.js';
import { UserError } from '../../src/errors.js';
import { readModel } from '../../src/onnx/model.js';
import { interleaved } from '../../src/recommend/interleaved.js';
import { nestedPolicies, recommend } from '../../src/recommend/recommendPolicy.js';
import type { Recommendation, RecommendEvent, RecommendOptions } from '../../src/recommend/recommendation.js';
import { SMALL_CNN } from '../models.js';

const model = readModel(SMALL_CNN);

describe('the order of photos', () => {
  const photos = [...Array<number>(80).fill(0), ...Array<number>(20).fill(1)].map((label, index): Photo => ({
    path: `${index}.jpg`,
    label,
  }));

  it('has the classes in their proportions at its beginning and at its end, and every photo once', () => {
    const order = interleaved(photos, 3);
    const second = (some: readonly Photo[]) => some.filter(({ label }) => label === 1).length;
    for (const part of [order.slice(0, 50), order.slice(-50), order.slice(0, 25), order.slice(-25)])
      expect(Math.abs(second(part) - part.length / 5)).toBeLessThanOrEqual(1);
    expect(new Set(order.map(({ path }) => path)).size).toBe(100);
  });

  it('follows the seed', () => {
    expect(interleaved(photos, 3)).toEqual(interleaved(photos, 3));
    expect(interleaved(photos, 3)).not.toEqual(interleaved(photos, 4));
  });
});

describe('recommend, on drawn pictures', () => {
  let dataset: Dataset;
  beforeAll(async () => {
    const pictures = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'pictures');
    await drawPictures(pictures, { set: 'demo', trainPerClass: 60, valPerClass: 4, size: 48, seed: 5 });
    dataset = await ImageFolder.open(pictures, { valFraction: 0.2, seed: 0 });
  });

  async function ask(
    options: Partial<RecommendOptions> = {},
  ): Promise<{ result: Recommendation; events: RecommendEvent[] }> {
    const events: RecommendEvent[] = [];
    const iterator = recommend({ model, dataset, epochs: 4, threads: 1, ...options });
    while (true) {
      const next = await iterator.next();
      if (next.done) return { result: next.value, events };
      events.push(next.value);
    }
  }

  const refusal = async (options: Partial<RecommendOptions>) => {
    const thrown: unknown = await ask(options).catch((error: unknown) => error);
    if (!(thrown instanceof UserError)) throw new Error('expected a refusal');
    return thrown;
  };

  it('tries nested policies, and chooses the cheapest that is expected to lose no more than the tolerance, or the least', async () => {
    expect(nestedPolicies({ model })).toEqual(['F1C0', 'F1C1', 'F1C2', 'F1C3', 'full']);
    const { result, events } = await ask();
    expect(result.policies.map(({ policy }) => policy)).toEqual(['F1C0', 'F1C1', 'F1C2', 'F1C3', 'full']);
    const regrets = result.policies.map(({ regret }) => regret ?? NaN);
    const most = Math.max(0.01, ...[Math.min(...regrets)]);
    const chosen = result.policies.find(({ policy }) => policy === result.policy);
    expect(chosen?.verdict).toBe('chosen');
    expect(chosen?.nearBest).toBe(result.confidence);
    expect(chosen?.regret).toBeLessThanOrEqual(most + 1e-9);
    for (const { regret, predictedMs } of result.policies)
      if ((predictedMs ?? 0) < (chosen?.predictedMs ?? 0)) expect(regret).toBeGreaterThan(most);
    // But for the head, all are trained as long.
    expect(new Set(result.policies.slice(1).map(({ trainedShare }) => trainedShare)).size).toBe(1);
    expect(new Set(events.flatMap((event) => (event.type === 'trained' ? [event.policy] : [])))).toEqual(
      new Set(result.policies.map(({ policy }) => policy)),
    );
    expect(result.energyEstimated).toBeNull();
    // The fresh head has 149 × 6 parameters.
    expect(result.policies[0]?.trainableParameters).toBe(894);
  });

  it('takes more seeds where the effort pays for more than one training as long as the whole', async () => {
    const { result, events } = await ask({ policies: ['F1C0', 'F1C1'], epochs: 1, effort: 20 });
    expect(result.policies.map(({ seeds }) => seeds)).toEqual([3, 3]);
    expect(new Set(events.flatMap((event) => (event.type === 'trained' ? [event.seed] : [])))).toEqual(
      new Set([0, 1, 2]),
    );
  });

  it('does not look at the validation photos', async () => {
    const val = dataset.val.map((photo) => ({ ...photo, path: '/nowhere.jpg' }));
    const { result } = await ask({ dataset: { ...dataset, val }, policies: ['F1C0', 'F1C1'] });
    expect(result.trainedPhotos + result.heldOutPhotos).toBeLessThanOrEqual(dataset.train.length);
    expect(result.heldOutPhotos).toBeGreaterThan(0);
  });

  it('names a photo that cannot be read once', async () => {
    const [first, ...others] = dataset.train;
    const train = [{ ...first, path: '/nowhere.jpg', label: 0 }, ...others];
    const { events } = await ask({ dataset: { ...dataset, train }, policies: ['F1C0', 'F1C1'], epochs: 1, effort: 3 });
    expect(events.filter(({ type }) => type === 'skipped')).toEqual([
      { type: 'skipped', path: '/nowhere.jpg', reason: expect.stringContaining('cannot read /nowhere.jpg') as string },
    ]);
  });

  it('leaves out what would take more memory than there may be', async () => {
    const full = (await ask({ policies: ['F1C0', 'full'] })).result.policies[1]?.memoryBytes ?? 0;
    expect(full).toBeGreaterThan(200e6);
    const { message, code } = await refusal({ memoryBytes: 100e6 });
    expect(code).toBe('no-policy-fits');
    expect(message).toMatch(/F1C0.*more than the 100 MB allowed/);
  });

  it('says which policy would take how long where none is done in time', async () => {
    const { message, code } = await refusal({ timeLimitMs: 1 });
    expect(code).toBe('no-policy-fits');
    expect(message).toMatch(/F1C0 would take about .* s, and 0\.0010 s are allowed/);
  });

  it('refuses joules where nothing measures them', async () => {
    const { code, message } = await refusal({ energyLimitJ: 500 });
    expect(code).toBe('no-energy');
    expect(message).toMatch(/watts/);
  });

  /** One joule for each millisecond of the clock: what a policy is charged with is its predicted time. */
  const meter = (): Meter => {
    let began = 0;
    return {
      name: 'a clock',
      sources: ['estimate'],
      start: () => {
        began = performance.now();
        return Promise.resolve();
      },
      stop: () => {
        const ms = performance.now() - began;
        const none = { idleJ: null, netJ: null, zones: {}, notes: [] };
        return Promise.resolve({ sources: ['estimate'], estimated: true, seconds: ms / 1000, grossJ: ms, ...none });
      },
      close: () => undefined,
    };
  };

  it('predicts joules from the power of what it ran, says that they are estimated, and keeps a limit', async () => {
    const { result } = await ask({ meter: meter(), policies: ['F1C0', 'F1C1'] });
    for (const { energyJ, predictedMs } of result.policies)
      expect(Math.abs((energyJ ?? 0) / (predictedMs ?? 1) - 1)).toBeLessThan(0.1);
    expect(result.notes.join()).toMatch(/estimated from CPU seconds, not measured/);
    expect((await refusal({ meter: meter(), energyLimitJ: 1 })).message).toMatch(/J, and 1\.00 J are allowed/);
  });

  it('stops when it is told to', async () => {
    expect((await refusal({ signal: AbortSignal.abort() })).code).toBe('stopped');
  });
});
