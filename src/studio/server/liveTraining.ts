import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UserError } from '../../errors.js';
import { writeFileAtomically } from '../../files.js';
import {
  type Dataset,
  LiveHead,
  type LiveHeadResult,
  type ModelFile,
  resultOf,
  type ScoredClass,
} from '../../index.js';
import { temporaryFolder, type TemporaryFolder } from '../../temporary.js';
import type { Live } from '../api.js';
import { lineOf } from './lineOf.js';
import type { LookedAt } from './look.js';

/** Photos come in numbers: so long it waits for another one. */
const SETTLE_MS = 120;
/** Fewer photos tell nothing of how fast they are. */
const FEW_PHOTOS = 16;

export interface LiveTrainingOptions {
  /** The model that its head is of, by the name that is chosen now. */
  readonly openModel: (name: string) => Promise<ModelFile>;
  /** The photos as they are, and of which revision. @throws UserError where they cannot be trained on. */
  readonly openDataset: () => Promise<{ readonly dataset: Dataset; readonly revision: number }>;
  /** Folder of the feature cache. */
  readonly cache?: string;
  readonly onChange: (live: Live) => void;
}

/** Keeps a head trained on the photos as they come, go and change class. */
export class LiveTraining {
  private state: Live = { state: 'off', done: 0, total: 0 };
  private head: { readonly name: string; readonly live: LiveHead } | undefined;
  private model: string | undefined;
  private isAsked = false;
  private running: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopping = new AbortController();
  private learned: LiveHeadResult | undefined;
  /** Models of the head, one file after another, the last one of `file.of`. */
  private folder: TemporaryFolder | undefined;
  private file: { readonly of: LiveHeadResult; readonly path: string } | undefined;
  private files = 0;
  private rate: number | undefined;

  constructor(private readonly options: LiveTrainingOptions) {}

  get live(): Live {
    return this.state;
  }

  /** What the head says of the photos that validate; undefined as long as none has been trained. */
  get result(): LiveHeadResult | undefined {
    return this.learned;
  }

  /** Photos a millisecond that have passed the network lately; undefined as long as there were too few to tell. */
  get photosPerMs(): number | undefined {
    return this.rate;
  }

  /** Trains heads of a model from now on, or none. */
  use(model: string | undefined): void {
    if (model === this.model) return;
    this.model = model;
    this.stopping.abort();
    this.learned = undefined;
    if (model === undefined) this.tell({ state: 'off', done: 0, total: 0 });
    this.ask();
  }

  /** Photos have changed. */
  ask(): void {
    this.isAsked = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.running ??= this.work().finally(() => (this.running = undefined));
    }, SETTLE_MS);
    this.timer.unref();
  }

  /** What the head says of a photo. @throws UserError `no-live-head`, `unreadable-photo`. */
  classify(photo: Buffer): Promise<ScoredClass[]> {
    return this.trained().classify(photo);
  }

  /** The head's model as a file. @throws UserError `no-live-head`. */
  async modelFile(): Promise<LookedAt> {
    const live = this.trained();
    const of = this.learned;
    if (of && this.file?.of !== of) {
      this.folder ??= temporaryFolder();
      const path = join(this.folder.path, `live-${++this.files}.onnx`);
      await writeFileAtomically(path, live.tunedModel());
      if (this.file) await rm(this.file.path, { force: true });
      this.file = { of, path };
    }
    return { path: this.file?.path ?? '', stamp: this.file?.path ?? '' };
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    this.model = undefined;
    this.isAsked = false;
    this.stopping.abort();
    await this.running;
    await this.head?.live.close();
    await this.folder?.remove();
  }

  private trained(): LiveHead {
    if (!this.head || !this.learned)
      throw new UserError('no-live-head', 'no head is trained yet; add photos to two classes, or choose a run');
    return this.head.live;
  }

  /** Trains until nothing has changed since it began. */
  private async work(): Promise<void> {
    while (this.isAsked && this.model !== undefined) {
      this.isAsked = false;
      this.stopping = new AbortController();
      try {
        await this.learn(this.model);
      } catch (thrown) {
        if (this.stopping.signal.aborted) continue;
        const waits = thrown instanceof UserError;
        if (waits) this.learned = undefined;
        this.tell({
          state: waits ? 'waiting' : 'failed',
          done: 0,
          total: 0,
          message: waits ? lineOf(thrown) : messageOf(thrown),
        });
      }
    }
  }

  private async learn(model: string): Promise<void> {
    const { dataset, revision } = await this.options.openDataset();
    const live = await this.headOf(model);
    const total = dataset.train.length + dataset.val.length;
    const learning = live.learn(dataset, { signal: this.stopping.signal });
    const began = performance.now();
    let featuresMs = 0;
    const found = await resultOf(learning, (event) => {
      if (event.type !== 'progress') return;
      const { phase, done } = event;
      if (phase === 'features') featuresMs = performance.now() - began;
      this.tell({ state: phase, done: phase === 'features' ? done : total, total });
    });
    const { trainPhotos, valPhotos, computed, metrics, interval, elapsedMs } = found;
    this.learned = found;
    if (computed >= FEW_PHOTOS) this.rate = computed / featuresMs;
    const result = { revision, trainPhotos, valPhotos, top1: metrics.top1, interval, elapsedMs };
    this.tell({ state: 'ready', done: total, total, result });
  }

  private async headOf(name: string): Promise<LiveHead> {
    if (this.head?.name === name) return this.head.live;
    await this.head?.live.close();
    this.head = undefined;
    this.tell({ state: 'loading', done: 0, total: 0 });
    const { cache } = this.options;
    const live = new LiveHead({ model: await this.options.openModel(name), ...(cache === undefined ? {} : { cache }) });
    this.head = { name, live };
    return live;
  }

  /** The last result stays on the screen while the next one is trained. */
  private tell(live: Live): void {
    const { result } = this.state;
    const keeps = live.state !== 'off' && live.state !== 'waiting' && result && !live.result;
    this.state = keeps ? { ...live, result } : live;
    this.options.onChange(this.state);
  }
}
