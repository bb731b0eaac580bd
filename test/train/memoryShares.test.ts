import { describe, expect, it } from 'vitest';
import { processBytes, trainingBytes } from '../../src/train/compileWithin.js';
import { memoryShares } from '../../src/train/memoryShares.js';

/** EfficientNet-B0 of 1,000 classes with F1C1, in batches of 32. */
const manifest = {
  parameters: [{ name: 'w', shape: [419_846], moments: ['m', 'v'], learningRateMultiplier: 1, decays: true }],
  cost: {
    parameters: 4_015_234,
    trainableParameters: 419_846,
    boundaryBytes: 62_720,
    frozenMultiplyAdds: 389e6,
    forwardMultiplyAdds: 20e6,
    backwardMultiplyAdds: 21e6,
    trainingMemoryBytes: 44e6,
  },
};
const asked = { slots: 780, isCached: true, newViews: false };
const { session, firstSession, steps } = trainingBytes(manifest);
const least = processBytes(manifest);

describe('a limit on memory', () => {
  it('leaves the frozen part one session, and its rows on the disk, where it is the least that will do', () => {
    expect(memoryShares(manifest, { ...asked, memoryBytes: least })).toEqual({
      sessionsBytes: session,
      inMemoryBytes: 0,
      evaluationBytes: 0,
    });
  });

  it('leaves it more sessions for what steps take later', () => {
    const memoryBytes = least - steps + firstSession + 2 * session + 1;
    const { sessionsBytes, inMemoryBytes } = memoryShares(manifest, { ...asked, memoryBytes });
    expect(sessionsBytes).toBe(3 * session);
    expect(inMemoryBytes).toBeLessThan(2);
  });

  it('takes rows in memory from what sessions may take, where no disk has them', () => {
    const memoryBytes = least + 1.2 * session;
    const shares = (isCached: boolean) => memoryShares(manifest, { ...asked, memoryBytes, isCached }).sessionsBytes;
    expect(shares(true)).toBe(2 * session);
    expect(shares(false)).toBe(session);
  });

  it('leaves sessions of the evaluation what is left beside steps and rows', () => {
    const { inMemoryBytes, evaluationBytes } = memoryShares(manifest, { ...asked, memoryBytes: least + 3e8 });
    expect(inMemoryBytes + evaluationBytes).toBeCloseTo(3e8, 0);
  });

  it('counts the steps beside the sessions where every epoch has new views', () => {
    expect(processBytes(manifest, { newViews: true })).toBeCloseTo(least + firstSession, 0);
    const memoryBytes = least + firstSession;
    expect(memoryShares(manifest, { ...asked, memoryBytes, newViews: true }).sessionsBytes).toBe(session);
  });
});
