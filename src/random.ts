import { sha256 } from './files.js';

/**
 * A seeded stream of random numbers: xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c), its
 * state filled by splitmix64 as the authors advise. No method keeps anything beside the four words of `state()`.
 */
export class Random {
  private readonly words: Uint32Array;

  /** @param seed an integer */
  constructor(seed: number) {
    const splitmix = new BigUint64Array([BigInt(seed), 0n, 0n]);
    for (const at of [1, 2]) splitmix[at] = splitmix64(BigInt(seed) + BigInt(at) * 0x9e3779b97f4a7c15n);
    this.words = new Uint32Array(splitmix.buffer, 8, 4);
  }

  /** Four words that `restore` takes: the stream goes on from here. */
  state(): [number, number, number, number] {
    const [a = 0, b = 0, c = 0, d = 0] = this.words;
    return [a, b, c, d];
  }

  restore(state: readonly number[]): this {
    if (state.length !== 4 || state.every((word) => word === 0)) throw new RangeError('expected four words, not all 0');
    this.words.set(state);
    return this;
  }

  /** The generator's own output, an integer of 32 bits. */
  word(): number {
    const { words } = this;
    // Tens of millions may be drawn in a run: no array is made of them.
    const a = words[0] ?? 0;
    const b = words[1] ?? 0;
    const c = words[2] ?? 0;
    const d = words[3] ?? 0;
    words[0] = a ^ b ^ d;
    words[1] = b ^ c ^ a;
    words[2] = c ^ a ^ (b << 9);
    words[3] = rotateLeft(d ^ b, 11);
    return Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
  }

  /** Uniform in [0, 1), 53 bits. */
  next(): number {
    const high = this.word() >>> 5;
    return (high * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** One of 0 … n − 1. */
  integer(n: number): number {
    return Math.floor(this.next() * n);
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.integer(choices.length)] ?? choices[0];
  }

  /** Normal with mean 0 and variance 1 (Box-Muller; the second value is dropped so that nothing but the state is kept). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** Fisher-Yates, in place; gives `array` back. */
  shuffle<T>(array: T[]): T[] {
    for (let last = array.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [array[last], array[other]] = [array[other] as T, array[last] as T];
    }
    return array;
  }

  /** An independent stream, given by the present state and `label`; this stream does not advance. */
  fork(label: string): Random {
    const digest = Buffer.from(sha256(Buffer.from(`${this.state().join(' ')} ${label}`)), 'hex');
    return new Random(0).restore([0, 4, 8, 12].map((at) => digest.readUInt32LE(at)));
  }
}

/** The output of splitmix64 for one counter value (https://prng.di.unimi.it/splitmix64.c). */
function splitmix64(counter: bigint): bigint {
  const u64 = (value: bigint) => BigInt.asUintN(64, value);
  let z = u64(counter);
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
