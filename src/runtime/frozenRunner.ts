import { FILES } from '../artifacts/artifactFiles.js';
import { PIXELS, type Preprocessing } from '../artifacts/manifest.js';
import { boundaryTensors } from './boundaryTensors.js';
import { frozenBatch } from './frozenBatch.js';
import * as ort from './ort.js';
import { runPart } from './partSessions.js';
import type { Provider } from './providers.js';
import type { BoundaryValue, Row } from './slots.js';

export interface FrozenRunnerOptions {
  readonly threads: number;
  readonly provider: Provider;
  /** The folder of the features, where it is remembered how many images a run likes best. */
  readonly folder: string | undefined;
}

/** Runs the frozen part. Its session is open while it is needed: where the cache has every photo, it never is. */
export class FrozenRunner {
  private session: ort.InferenceSession | undefined;
  /** Images of one run, once that is known. */
  private batch: number | undefined;

  constructor(
    private readonly open: () => Promise<ort.InferenceSession>,
    private readonly values: readonly BoundaryValue[],
    private readonly preprocessing: Preprocessing,
    private readonly options: FrozenRunnerOptions,
  ) {}

  /**
   * Fills `buffers` with the boundary of `count` images, `pixels`, uint8 [count, H, W, 3].
   * @throws UserError `not-loadable`, `not-runnable`.
   */
  async run(pixels: Uint8Array, buffers: readonly Row[], count: number): Promise<void> {
    const session = (this.session ??= await this.open());
    const runOn = (first: number, size: number) => this.runOn(session, pixels, buffers, { first, size, count });
    this.batch ??= await this.chooseBatch((size) => runOn(0, size), count);
    for (let first = 0; first < count; first += this.batch) await runOn(first, Math.min(this.batch, count - first));
  }

  /** Gives back its memory. */
  async release(): Promise<void> {
    const { session } = this;
    this.session = undefined;
    await session?.release();
  }

  private chooseBatch(run: (size: number) => Promise<void>, count: number): number | Promise<number> {
    const { threads, provider, folder } = this.options;
    // Another provider has cores enough for all of them.
    if (provider !== 'cpu') return count;
    return frozenBatch({ run, count, folder, key: `${threads} threads`, threads });
  }

  private async runOn(
    session: ort.InferenceSession,
    pixels: Uint8Array,
    buffers: readonly Row[],
    { first, size, count }: { readonly first: number; readonly size: number; readonly count: number },
  ): Promise<void> {
    const { height, width } = this.preprocessing;
    const imageBytes = height * width * 3;
    const some = buffers.map((buffer) => buffer.subarray((first * buffer.length) / count));
    const fetches = boundaryTensors(this.values, some, size);
    // The pixels may be a part of the boundary, and need no run.
    Reflect.deleteProperty(fetches, PIXELS);
    const images = pixels.subarray(first * imageBytes, (first + size) * imageBytes);
    const feeds = { [PIXELS]: new ort.Tensor('uint8', images, [size, height, width, 3]) };
    await runPart(FILES.frozen, session, { feeds, fetches });
  }
}
