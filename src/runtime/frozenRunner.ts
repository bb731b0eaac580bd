import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FILES } from '../artifacts/artifactFiles.js';
import { type Manifest, PIXELS } from '../artifacts/manifest.js';
import type { Caller } from '../channel.js';
import { joined } from '../joined.js';
import { type CoreShares, imagesOfRun, MOST_IMAGES } from './coreShares.js';
import { sharesFor } from './modelRunner.js';
import { refusal, sessionOptions } from './partSessions.js';
import type { Provider } from './providers.js';
import type { SessionOperations } from './sessionOperations.js';
import { SessionPool } from './sessionPool.js';
import type { Row } from './slots.js';

export interface FrozenOptions {
  /** Cores to use in all; 0 for all that there are. */
  readonly threads: number;
  readonly provider: Provider;
  /** Images that are to be run, as far as is known. */
  readonly images: number;
  /** What its sessions may take, where that is limited. */
  readonly memoryBytes?: number | undefined;
  /** The worker that runs it where one session is enough; without it, that has one of its own. */
  readonly host?: Caller<SessionOperations>;
}

/** Some images' boundary. */
export interface Chunk {
  /** The place of its first image among those that were given. */
  readonly first: number;
  readonly count: number;
  /** A part for each value of the boundary, `count` images one after another. */
  readonly rows: Row[];
}

/** Runs the frozen part. Its sessions are open while they are needed: where the cache has every photo, they never are. */
export class FrozenRunner {
  /** The file of the frozen part. */
  private readonly path: string;
  private readonly shares: CoreShares;
  private pool: Promise<SessionPool> | undefined;
  /** Chunks that are not there yet. */
  private readonly underWay = new Set<Promise<Chunk>>();

  /** @param file of the frozen part, in the artifacts' `folder`. */
  private constructor(
    folder: string,
    file: string,
    private readonly manifest: Manifest,
    private readonly options: FrozenOptions,
  ) {
    this.path = join(folder, file);
    const { threads, provider } = options;
    this.shares =
      provider === 'cpu' ? sharesFor({ ...options, modelBytes: statSync(this.path).size }) : { sessions: 1, threads };
  }

  /** The runner for artifacts; undefined where they have no frozen part. */
  static of(folder: string, manifest: Manifest, options: FrozenOptions): FrozenRunner | undefined {
    const file = [FILES.quantized, FILES.frozen].find((name) => manifest.files[name] !== undefined);
    return file === undefined ? undefined : new FrozenRunner(folder, file, manifest, options);
  }

  /** How many images are to be under way so that no session waits. */
  get imagesAtOnce(): number {
    return SessionPool.runsAtOnce(this.shares.sessions) * this.imagesOfRun;
  }

  /**
   * The boundary of images, uint8 [H, W, 3] each, in chunks, each of which is there as soon as it is computed.
   * @throws UserError `not-loadable`, `not-runnable`, from each chunk.
   */
  run(images: readonly Uint8Array[]): Promise<Chunk>[] {
    const size = this.imagesOfRun;
    const chunks: Promise<Chunk>[] = [];
    for (let first = 0; first < images.length; first += size) {
      const chunk = this.runChunk(images.slice(first, first + size), first);
      // Whoever waits for it learns that it failed, which may be after another has.
      this.underWay.add(chunk);
      chunk.catch(() => undefined).finally(() => this.underWay.delete(chunk));
      chunks.push(chunk);
    }
    return chunks;
  }

  private get imagesOfRun(): number {
    const { shares, manifest, options } = this;
    // Another provider has cores enough for all of them.
    if (options.provider !== 'cpu') return MOST_IMAGES;
    return imagesOfRun(manifest.cost.frozenMultiplyAdds, shares.threads, options.memoryBytes !== undefined);
  }

  /** Gives back its memory once all that was asked of it is there. */
  async retire(): Promise<void> {
    await Promise.allSettled(this.underWay);
    await this.release();
  }

  /** Gives back its memory. */
  async release(): Promise<void> {
    const { pool } = this;
    this.pool = undefined;
    await (await pool?.catch(() => undefined))?.close();
  }

  private async runChunk(images: readonly Uint8Array[], first: number): Promise<Chunk> {
    const { boundary, preprocessing } = this.manifest;
    const { height, width } = preprocessing;
    const count = images.length;
    const pixels = joined(images);
    const pool = await (this.pool ??= this.open());
    // The pixels may be a part of the boundary, and need no run.
    const wanted = boundary.map(({ name }) => name).filter((name) => name !== PIXELS);
    const own = wanted.length < boundary.length ? pixels.slice() : pixels;
    const feed = { name: PIXELS, type: 'uint8', dims: [count, height, width, 3], data: pixels } as const;
    const given = await pool.run([feed], wanted).catch((thrown: unknown) => {
      throw refusal('not-runnable', `failed while it ran ${basename(this.path)}`, thrown);
    });
    const results = new Map(given.map(({ name, data }) => [name, data]));
    return { first, count, rows: boundary.map(({ name }) => asRow(name === PIXELS ? own : results.get(name))) };
  }

  private open(): Promise<SessionPool> {
    const { sessions, threads } = this.shares;
    const options = sessionOptions(threads, this.options.provider);
    return SessionPool.open(this.path, options, sessions, this.options.host).catch((thrown: unknown) => {
      throw refusal('not-loadable', `cannot load ${this.path}`, thrown);
    });
  }
}

/** @throws Error where a value of the boundary is of another type than those are. */
function asRow(data: unknown): Row {
  if (data instanceof Float32Array || data instanceof Uint16Array || data instanceof Uint8Array) return data;
  throw new Error('the frozen part gives what is no boundary');
}
