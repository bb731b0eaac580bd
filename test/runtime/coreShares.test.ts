import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { imagesOfRun, shareCores } from '../../src/runtime/coreShares.js';

const plenty = { images: 1e6, sessionBytes: 1e6, memoryBytes: 1e12 };

describe('cores', () => {
  it.each([
    ['a session for each, where images are many', { ...plenty, threads: 16 }, { sessions: 16, threads: 1 }],
    ['one session, where images are few', { ...plenty, threads: 16, images: 100 }, { sessions: 1, threads: 16 }],
    ['sessions of several threads between', { ...plenty, threads: 16, images: 300 }, { sessions: 4, threads: 4 }],
    ['never more threads than cores', { ...plenty, threads: 8, images: 200 }, { sessions: 3, threads: 2 }],
    ['as many sessions as memory allows', { ...plenty, threads: 4, memoryBytes: 2.5e6 }, { sessions: 2, threads: 2 }],
    ['one session, be memory ever so short', { ...plenty, threads: 4, memoryBytes: 0 }, { sessions: 1, threads: 4 }],
    ['one session of one thread', { ...plenty, threads: 1 }, { sessions: 1, threads: 1 }],
  ])('are shared: %s', (_, sharing, shares) => {
    expect(shareCores(sharing)).toEqual(shares);
  });

  it('are all taken where nothing else is said', () => {
    const cores = availableParallelism();
    expect(shareCores({ ...plenty, threads: 0 })).toEqual({ sessions: cores, threads: cores > 1 ? 1 : 0 });
    expect(shareCores({ ...plenty, threads: 0, images: 1 })).toEqual({ sessions: 1, threads: 0 });
  });
});

describe('images of a run', () => {
  it.each([
    ['one of a large network', 400e6, 1, 1],
    ['some of a small one, whose runs cost more than what they compute', 10e6, 1, 4],
    ['no more than fit into the caches', 1e3, 1, 16],
    ['some where several threads work on them', 400e6, 2, 4],
  ])('are %s', (_, multiplyAdds, threads, images) => {
    expect(imagesOfRun(multiplyAdds, threads)).toBe(images);
  });

  it('are no more for several threads where memory is limited', () => {
    expect(imagesOfRun(400e6, 2, true)).toBe(1);
    expect(imagesOfRun(10e6, 2, true)).toBe(4);
  });
});
