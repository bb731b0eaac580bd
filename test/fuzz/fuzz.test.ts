import { describe, expect, it } from 'vitest';
import { fuzz } from './fuzz.js';

describe('a damaged model file', () => {
  it('gives training graphs or one clear error, and never a crash, a hang or a gigabyte of memory', async () => {
    // `npm run fuzz` takes five thousand; another seed than its default adds to them.
    const { outcomes, failures } = await fuzz(20, 400);
    expect(failures).toEqual([]);
    // The cases get as deep as they should: some compile, some of these train, some are refused in every part.
    for (const outcome of ['ok', 'trained', 'not-onnx', 'bad-model', 'cyclic-graph', 'no-gradient-rule'])
      expect(outcomes.get(outcome)).toBeGreaterThan(0);
  });
});
