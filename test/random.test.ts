import { describe, expect, it } from 'vitest';
import { Random } from '../src/random.js';

const draw = (random: Random, count: number) => Array.from({ length: count }, () => random.next());

describe('Random', () => {
  it('gives the published outputs of xoshiro128** from the state 1, 2, 3, 4', () => {
    const random = new Random(0).restore([1, 2, 3, 4]);
    // The test vector of Rust's rand_xoshiro, made with the authors' C code; compiling that recurrence gave the same.
    expect(Array.from({ length: 10 }, () => random.word())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('fills its state with the published outputs of splitmix64', () => {
    const words = new Random(1234567).state();
    const outputs = [6457827717110365317n, 3203168211198807973n];
    expect(words).toEqual(outputs.flatMap((output) => [Number(output & 0xffffffffn), Number(output >> 32n)]));
  });

  it('goes on from a restored state as the first stream does', () => {
    const random = new Random(7);
    random.normal();
    const state = random.state();
    expect(draw(new Random(0).restore(state), 5)).toEqual(draw(random, 5));
  });

  it('refuses a state of zeros, from which the generator never moves', () => {
    expect(() => new Random(1).restore([0, 0, 0, 0])).toThrow(RangeError);
  });

  it('stays in [0, 1) with the mean and variance of a uniform variable', () => {
    const values = draw(new Random(3), 20_000);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(1 / 2, 1.8);
    expect(variance).toBeCloseTo(1 / 12, 2);
  });

  it('draws each integer about as often', () => {
    const random = new Random(4);
    const counts = [0, 0, 0, 0, 0];
    for (let at = 0; at < 10_000; at++) {
      const drawn = random.integer(5);
      counts[drawn] = (counts[drawn] ?? NaN) + 1;
    }
    // Standard deviation 40.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });

  it('draws normal numbers: 68.3 % within one deviation', () => {
    const random = new Random(5);
    const values = Array.from({ length: 20_000 }, () => random.normal());
    expect(values.filter((value) => Math.abs(value) < 1).length / values.length).toBeCloseTo(0.683, 1.7);
    expect(Math.abs(values.reduce((sum, value) => sum + value) / values.length)).toBeLessThan(0.03);
  });

  it('shuffles in place, keeping every element, the same for the same seed', () => {
    const list = Array.from({ length: 50 }, (_, at) => at);
    const shuffled = new Random(6).shuffle([...list]);
    expect(shuffled).not.toEqual(list);
    expect([...shuffled].sort((a, b) => a - b)).toEqual(list);
    expect(new Random(6).shuffle([...list])).toEqual(shuffled);
    expect(new Random(7).shuffle([...list])).not.toEqual(shuffled);
  });

  it('forks streams that differ by label and leave the parent where it was', () => {
    const random = new Random(8);
    const before = random.state();
    const first = draw(random.fork('a'), 5);
    expect(random.state()).toEqual(before);
    expect(draw(random.fork('a'), 5)).toEqual(first);
    expect(draw(random.fork('b'), 5)).not.toEqual(first);
    expect(draw(new Random(9).fork('a'), 5)).not.toEqual(first);
  });
});
