import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../src/artifacts/manifest.js';
import { stepSessions } from '../../src/train/stepSessions.js';
import type { Settings } from '../../src/train/trainOptions.js';

const costOf = (multiplyAdds: number, trainableParameters: number) => ({
  cost: {
    forwardMultiplyAdds: multiplyAdds / 3,
    backwardMultiplyAdds: (multiplyAdds * 2) / 3,
    trainableParameters,
    trainingMemoryBytes: 1.3e9,
  } as Manifest['cost'],
});
const settings = {
  provider: 'cpu',
  batchNorm: 'frozen',
  dropout: 0,
  threads: 4,
  batch: 16,
  microBatch: 16,
} as Settings;
/** As EfficientNet-B0's `full` and F1C1 are. */
const [full, last] = [costOf(1.26e9, 4e6), costOf(4e7, 4.2e5)];

describe('sessions of a step', () => {
  it('are as many as cores where a step computes much for each parameter, and one elsewhere', () => {
    expect(stepSessions(full, settings, { parallel: 'auto', roomBytes: Infinity })).toBe(4);
    expect(stepSessions(full, { ...settings, threads: 1 }, { parallel: 'auto', roomBytes: Infinity })).toBe(1);
    expect(stepSessions(last, settings, { parallel: 'auto', roomBytes: Infinity })).toBe(1);
    expect(stepSessions(costOf(1e6, 10), settings, { parallel: 'auto', roomBytes: Infinity })).toBe(1);
  });

  it('are what is asked for, and no more than images', () => {
    expect(stepSessions(last, settings, { parallel: 'images', roomBytes: Infinity })).toBe(4);
    expect(stepSessions(full, settings, { parallel: 'operators', roomBytes: Infinity })).toBe(1);
    expect(stepSessions(full, { ...settings, microBatch: 3 }, { parallel: 'images', roomBytes: Infinity })).toBe(3);
  });

  it('are no more than fit beside each other', () => {
    // Four images take 325 MB; a session 104 MB more.
    expect(stepSessions(full, settings, { parallel: 'auto', roomBytes: 1e9 })).toBe(2);
    expect(stepSessions(full, settings, { parallel: 'images', roomBytes: 1e8 })).toBe(1);
  });

  it.each([
    [{ provider: 'webgpu' }, /webgpu takes a batch whole/],
    [{ batchNorm: 'batch' }, /other statistics/],
    [{ dropout: 0.1 }, /drops out by itself/],
  ] as const)('are one where a batch must stay together: %o', (more, reason) => {
    const own = { ...settings, ...more };
    expect(stepSessions(full, own, { parallel: 'auto', roomBytes: Infinity })).toBe(1);
    expect(() => stepSessions(full, own, { parallel: 'images', roomBytes: Infinity })).toThrow(reason);
  });
});
