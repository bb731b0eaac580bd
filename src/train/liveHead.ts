import type { Manifest } from '../artifacts/manifest.js';
import { tunedModel } from '../artifacts/tunedModel.js';
import type { Dataset } from '../data/dataset.js';
import type { Unlabelled } from '../data/photo.js';
import { UserError } from '../errors.js';
import { encodeModel } from '../onnx/model.js';
import type { Tensor } from '../onnx/tensor.js';
import { HeadRunner } from '../runtime/headRunner.js';
import { parametersOf } from './evaluatedState.js';
import { type HeadPrediction, logitsOfPhotos, predictionsOf, readablePhotos, trainHead } from './headTraining.js';
import { checkLearning, type LiveHeadEvent } from './liveHeadEvents.js';
import { type Metrics, metricsOf } from './metrics.js';
import { type LiveHeadOptions, OpenHead } from './openHead.js';
import { predict, type ScoredClass } from './predictPhoto.js';
import { wilson95 } from './wilson.js';

/** What a head has learned, and what that is worth. */
export interface LiveHeadResult {
  readonly classes: readonly string[];
  /** Photos that could be read. */
  readonly trainPhotos: number;
  readonly valPhotos: number;
  /** Photos that went through the network for it: the features of all others were there. */
  readonly computed: number;
  /** Of the photos that validate. */
  readonly metrics: Metrics;
  /** Where top-1 lies: Wilson's interval of 95 %. */
  readonly interval: readonly [number, number];
  /** Of the photos that validate and could be read, in their order. */
  readonly predictions: readonly HeadPrediction[];
  readonly elapsedMs: number;
}

/** A head as it was learned. */
interface LearnedHead {
  readonly manifest: Manifest;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly runner: HeadRunner;
}

/**
 * A classifier's head that is trained anew whenever photos come, go or change class, in well under a second for a thousand photos: the network
 * stays open, and what it gives of a photo is kept. It learns what a training of policy `F1C0` learns.
 *
 *     const live = new LiveHead({ model, cache });
 *     const { metrics } = await resultOf(live.learn(await openDataset('photos', {})));
 *     const [best] = await live.classify('photo.jpg');
 *     await live.close();
 */
export class LiveHead {
  private open: OpenHead | undefined;
  /** Ends when `open` is what it is to be. */
  private opening: Promise<unknown> = Promise.resolve();
  private head: LearnedHead | undefined;
  /** Ends when nobody learns. */
  private learned: Promise<void> = Promise.resolve();
  /** Stops who learns. */
  private stopping = new AbortController();
  private isClosed = false;

  constructor(private readonly options: LiveHeadOptions) {}

  /**
   * Learns a data set, from a fresh head on. A second call waits for the first. A photo that cannot be read is told of and left out, be
   * there however many. Whatever it throws, a later call goes on with the features that are there.
   * @throws UserError `stopped` when the signal fires or the head is closed; `bad-arguments` for photos of several labels; `no-photos` and
   * `class-without-photos` where too few can be read; what compiling the model throws.
   */
  async *learn(
    dataset: Dataset,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LiveHeadEvent, LiveHeadResult> {
    const before = this.learned;
    let leave: () => void = () => undefined;
    this.learned = new Promise<void>((resolve) => {
      leave = resolve;
    });
    await before;
    const stopping = (this.stopping = new AbortController());
    const stop = () => {
      stopping.abort();
    };
    signal?.addEventListener('abort', stop);
    if (signal?.aborted || this.isClosed) stop();
    try {
      return yield* this.learnNow(dataset, stopping.signal);
    } catch (thrown) {
      // What has met a limit of the machine, or died, begins anew the next time.
      if (!(thrown instanceof UserError)) await this.letGo();
      if (this.isClosed) checkLearning(stopping.signal);
      throw thrown;
    } finally {
      signal?.removeEventListener('abort', stop);
      leave();
    }
  }

  /**
   * The classes of a photo (a path, the bytes of its file, or a photo that was found), by the head that was learned last, the likeliest first.
   * @throws UserError `nothing-learned`, `unreadable-photo`.
   */
  async classify(photo: string | Buffer | Unlabelled): Promise<ScoredClass[]> {
    const { open } = this;
    if (!open) throw nothingLearned();
    let { manifest } = this.whatWasLearned();
    return predict(
      {
        preprocessing: manifest.preprocessing,
        thresholds: undefined,
        get labels() {
          return manifest.classes;
        },
        run: async (pixels) => {
          const boundary = await open.engine.boundaryOf(pixels);
          // Another may have been learned meanwhile, and this one closed.
          const head = this.whatWasLearned();
          ({ manifest } = head);
          return head.runner.logits(boundary);
        },
      },
      photo,
    );
  }

  /**
   * The bytes of the model with the head that was learned last, as `model.onnx` of a run: for {@link PhotoExplainer}, or any other program.
   * @throws UserError `nothing-learned`.
   */
  tunedModel(): Uint8Array {
    const { manifest, parameters } = this.whatWasLearned();
    return encodeModel(tunedModel(this.options.model.proto, manifest, parameters));
  }

  /** Gives back all that it took. Who learns meanwhile is stopped. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.stopping.abort();
    await this.opening.catch(() => undefined);
    const { head } = this;
    this.head = undefined;
    try {
      await head?.runner.close();
    } finally {
      await this.letGo();
    }
  }

  private async *learnNow(dataset: Dataset, signal: AbortSignal): AsyncGenerator<LiveHeadEvent, LiveHeadResult> {
    const began = performance.now();
    checkLearning(signal);
    if (dataset.task === 'labels')
      throw new UserError(
        'bad-arguments',
        `the photos of ${dataset.folder} have any number of labels each, and a live head tells classes apart; name photos of one class each`,
      );
    const { engine, features, head } = await this.openFor(dataset, signal);
    const { slots, computed } = yield* features.find([...dataset.train, ...dataset.val], signal);
    const { train, val } = readablePhotos(dataset, slots);
    yield* trainHead(engine, head, train, signal);
    const { classes } = head.manifest;
    const logits = await logitsOfPhotos(engine, classes.length, val, signal);
    const parameters = parametersOf(head.manifest, await engine.getState());
    checkLearning(signal);
    await this.takeOver({ ...head, parameters, runner: new HeadRunner(head.evaluation, head.manifest, parameters) });
    const labels = val.map(({ photo }) => photo.label);
    const predictions = predictionsOf(val, logits, classes.length);
    const right = predictions.filter(({ label, predicted }) => label === predicted).length;
    const { low, high } = wilson95(right, val.length);
    return {
      classes,
      trainPhotos: train.length,
      valPhotos: val.length,
      computed,
      metrics: metricsOf(logits, labels, classes.length),
      interval: [low, high],
      predictions,
      elapsedMs: performance.now() - began,
    };
  }

  /** An engine for the classes of `dataset`: the one that is open, where that can be. */
  private openFor(dataset: Dataset, signal: AbortSignal): Promise<OpenHead> {
    const opening = (async () => {
      const { open } = this;
      if (open && (await open.suit(this.options, dataset, signal))) return open;
      await this.letGo();
      return (this.open = await OpenHead.open(this.options, dataset, signal));
    })();
    this.opening = opening;
    return opening;
  }

  private async letGo(): Promise<void> {
    const { open } = this;
    this.open = undefined;
    await open?.close();
  }

  private async takeOver(head: LearnedHead): Promise<void> {
    const before = this.head;
    this.head = head;
    await before?.runner.close();
  }

  private whatWasLearned(): LearnedHead {
    if (!this.head) throw nothingLearned();
    return this.head;
  }
}

const nothingLearned = () =>
  new UserError('nothing-learned', 'the head has learned nothing yet: have it learn a data set first (LiveHead.learn)');
