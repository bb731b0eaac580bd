import * as ort from './ort.js';
import { labelsOf, taskOf, thresholdsIn } from '../artifacts/labelsMetadata.js';
import { checkImageModel } from '../plain/imageModel.js';
import { METADATA, type Preprocessing } from '../artifacts/manifest.js';
import type { Task } from '../artifacts/task.js';
import { statedFor } from '../artifacts/ownPixels.js';
import { exportedPreprocessing, sideOf, type StatedPreprocessing, USUAL_SIZE } from '../artifacts/preprocessing.js';
import { UserError } from '../errors.js';
import { machineErrorOf } from '../machineError.js';
import type { Value } from '../graph/graph.js';
import { encodeModel, metadataOf, readModel } from '../onnx/model.js';
import type { ModelProto, ValueInfoProto } from '../onnx/onnx_pb.js';
import { type PlainForm, runnableForm } from '../plain/plainForm.js';
import { channelsOf, type ImageFeed, imageFeed, type ImageSize } from './imageFeed.js';
import { SharedModel } from './sharedModel.js';
import type { SentTensor } from './sentTensor.js';

/** Operators that leave numbers as they are, but for their shape or type. */
const PASSING: ReadonlySet<string> = new Set(['Cast', 'Flatten', 'Identity', 'Reshape', 'Squeeze']);
/** A share that is below the smallest of float32 counts as this. */
const SMALLEST_SHARE = 1e-38;
/** A probability that is nearer to 1 than float32 tells counts as this. */
const LARGEST_SHARE = 1 - 2 ** -25;
/** The most pixels of all images that a model takes at once: 800 MB as float32. */
const MOST_PIXELS_AT_ONCE = 2 ** 26;

/** What is known of a model beside what it says of itself. */
export interface KnownOfModel {
  /** What its classes are called. */
  readonly labels?: readonly string[] | undefined;
  /** How its pixels are normalised, as `‹preprocessing›` says it. */
  readonly preprocessing?: string | undefined;
}

export interface LoadOptions extends KnownOfModel {
  /** Cores to use in all; 0 for all that there are. */
  readonly threads?: number;
  /** What messages call the model, and beside which files are looked for that tell of it. */
  readonly name: string;
  /** What is to be told of how the model is taken. */
  readonly warnings?: readonly string[];
}

/** Measures how long runs of a model take. */
export interface LatencyClock {
  /** Milliseconds of each of so many runs. */
  time(runs: number): Promise<number[]>;
  close(): Promise<void>;
}

interface Told {
  readonly task: Task;
  readonly thresholds: readonly number[] | undefined;
  readonly ending: ScoreEnding | undefined;
}

/** The operator that scores come of, where it makes something else of logits. */
export type ScoreEnding = 'softmax' | 'logSoftmax' | 'sigmoid';

/** An exported model, or another that says what its classes are, in a plain session: pixels in, class scores out. */
export class ImageClassifier {
  private constructor(
    readonly labels: readonly string[],
    /** What is done to photos, and what is to be told of where that comes from. */
    readonly stated: StatedPreprocessing,
    /** Whether a photo has one of the classes, or any number of them as labels, and from which probability on then each. */
    private readonly told: Told,
    private readonly model: SharedModel,
    private readonly ends: {
      readonly input: ort.InferenceSession.TensorValueMetadata;
      readonly output: string;
    },
  ) {}

  /**
   * Opens a model, of which what is not known is what the file says, or `config.json` beside it. What ort-tl has exported runs as it is, where it
   * can; another in the form that a training would begin with.
   * @throws UserError `no-metadata` when nothing says what its classes are called, `not-loadable` when ONNX Runtime refuses it or it gives no
   * classes, `unsupported-input` where it takes no images in colour or grey, `training-mode` where its result is drawn at random, `cyclic-graph`.
   */
  static async open(path: string, threads = 0, known: KnownOfModel = {}): Promise<ImageClassifier> {
    const { proto } = readModel(path);
    const options = { ...known, threads, name: path };
    const load = () => {
      const { proto: runnable, warnings } = formToRun({ proto, path }, known.labels);
      return ImageClassifier.load(runnable, runnable === proto ? path : encodeModel(runnable), {
        ...options,
        warnings,
      });
    };
    if (!metadataOf(proto).has(METADATA.preprocessing)) return load();
    try {
      return await ImageClassifier.load(proto, path, options);
    } catch (thrown) {
      // Somebody has changed it since.
      if (thrown instanceof UserError && CHANGED.has(thrown.code)) return load();
      throw thrown;
    }
  }

  get preprocessing(): Preprocessing {
    return this.stated.preprocessing;
  }

  /**
   * Whether the model gives shares that add up to 1 or their logarithms, or probabilities of labels: {@link run} gives logarithms of shares, which
   * are logits but for what is common to all of a photo, and log odds of probabilities.
   */
  get ending(): ScoreEnding | undefined {
    return this.told.ending;
  }

  /** Whether a photo has one of the classes, or any number of labels. */
  get task(): Task {
    return this.told.task;
  }

  /** Of labels: from which probability on a photo has each, in their order. */
  get thresholds(): readonly number[] | undefined {
    return this.told.thresholds;
  }

  /**
   * Loads `file`, a path or the bytes of an ONNX or ORT file, which `proto` describes.
   * @throws UserError as {@link open} does.
   */
  static async load(
    proto: ModelProto,
    file: string | Uint8Array,
    { threads = 0, name, labels: given, preprocessing: chosen, warnings = [] }: LoadOptions,
  ): Promise<ImageClassifier> {
    const model = { proto, path: name };
    checkImageModel(proto, name);
    const labels = given ?? labelsOf(model);
    const exported = chosen === undefined ? exportedPreprocessing(model) : undefined;
    const shared = await SharedModel.open(proto, file, { threads, name });
    const [input] = shared.ends.inputs;
    const outputs = shared.ends.outputs.flatMap((each) => (each.isTensor && each.shape.length === 2 ? each : []));
    const output = outputs.find(({ shape }) => shape[1] === labels.length);
    const scores = outputs.flatMap(({ shape: [, count] }) => (typeof count === 'number' ? count : []));
    try {
      if (!output && scores[0] !== undefined)
        throw new UserError(
          'bad-labels',
          given
            ? `${labels.length} classes are named (‹labels›), and ${name} gives scores for ${scores[0]}`
            : `the labels of ${name} are wrong: they name ${labels.length} classes, and it gives scores for ${scores[0]}; export the model again`,
        );
      if (!input?.isTensor || !output)
        throw new UserError('not-loadable', `${name} does not map an image to ${labels.length} classes`);
      const said = exported ?? statedFor(model, { preprocessing: chosen }, imageTaken(input, model));
      const stated = { ...said, warnings: [...warnings, ...said.warnings] };
      checkImages(input.shape, stated.preprocessing, name);
      const ends = { input, output: output.name };
      const ending = endingOf(proto, output.name);
      const task = taskOf(model, ending === 'sigmoid');
      const thresholds = task === 'labels' ? thresholdsIn(model, labels.length) : undefined;
      const told = { task, thresholds, ending };
      return new ImageClassifier(labels, stated, told, shared, ends);
    } catch (thrown) {
      await shared.close();
      throw thrown;
    }
  }

  /**
   * Class scores [count, classes] of `pixels`, uint8 RGB [count, H, W, 3] of the size that the preprocessing names; a model that does
   * its preprocessing by itself takes photos of any `size`. @throws UserError `not-runnable`.
   */
  async run(pixels: Uint8Array, count: number, size: ImageSize = this.preprocessing): Promise<Float32Array> {
    const each = pixels.length / count;
    const [first] = this.ends.input.shape;
    // A model for so many images takes no fewer.
    const batch = typeof first === 'number' ? first : count;
    const width = this.labels.length;
    const scores = new Float32Array(count * width);
    const runs: Promise<void>[] = [];
    for (let done = 0; done < count; done += batch) {
      const feed = this.feed(pixels.subarray(done * each, (done + batch) * each), batch, size);
      runs.push(
        this.runOn(feed).then((rows) => {
          scores.set(rows.subarray(0, (count - done) * width), done * width);
        }),
      );
    }
    await Promise.all(runs);
    if (this.ending === 'softmax') return scores.map(logarithm);
    return this.ending === 'sigmoid' ? scores.map(logOdds) : scores;
  }

  /**
   * Opens as many sessions as so many images are worth, which later runs share: images, not the inside of an operator, are what cores share.
   * Gives how many images are to be under way so that no session waits. @throws UserError `not-loadable`.
   */
  expect(images: number): Promise<number> {
    return this.model.expect(images);
  }

  /** A clock for runs on one image, or on as many as the model takes, in a session that has all threads. */
  async clock(pixels: Uint8Array, size: ImageSize = this.preprocessing): Promise<LatencyClock> {
    const [first] = this.ends.input.shape;
    const feed = this.feed(pixels, typeof first === 'number' ? first : 1, size);
    const alone = await this.model.openAlone();
    const run = () => alone.run([feed], [this.ends.output]);
    await run();
    return {
      time: async (runs) => {
        const times: number[] = [];
        for (let n = 0; n < runs; n++) {
          const began = performance.now();
          await run();
          times.push(performance.now() - began);
        }
        return times;
      },
      close: () => alone.close(),
    };
  }

  private async runOn(feed: SentTensor): Promise<Float32Array> {
    const [result] = await this.model.run([feed], [this.ends.output]).catch((thrown: unknown) => {
      const what = `ONNX Runtime failed while it ran the model: ${ort.reasonOf(thrown)}`;
      throw machineErrorOf(thrown) ?? new UserError('not-runnable', what, { cause: thrown });
    });
    return result?.data as Float32Array;
  }

  private feed(pixels: Uint8Array, batch: number, size: ImageSize): ImageFeed {
    return { name: this.ends.input.name, ...imageFeed(this.ends.input, this.preprocessing, pixels, batch, size) };
  }

  async close(): Promise<void> {
    await this.model.close();
  }
}

/**
 * The images that a model takes which does not say it in its metadata.
 * @throws UserError `unsupported-input` where it takes no colour images.
 */
function imageTaken(
  { name, type, shape }: { readonly name: string; readonly type: string; readonly shape: readonly (number | string)[] },
  model: { proto: ModelProto; path: string },
): Pick<Value, 'name' | 'dtype' | 'shape'> {
  const channels = channelsOf(shape);
  if (!channels)
    throw new UserError(
      'unsupported-input',
      `the input of ${model.path} has shape [${shape.join(', ')}]; ort-tl gives images in colour or grey, [N, 3, H, W], [N, 1, H, W], or with the channels last`,
    );
  const sides = channels.isFirst ? shape.slice(2) : shape.slice(1, 3);
  const usual = sideOf(model, {}).usual ?? USUAL_SIZE;
  const [height = usual, width = usual] = sides.map((side) => (typeof side === 'number' ? side : undefined));
  const dtype = type === 'uint8' ? 'uint8' : 'float32';
  const count = channels.channels;
  return { name, dtype, shape: channels.isFirst ? [1, count, height, width] : [1, height, width, count] };
}

/**
 * Compares what a model takes, its channels first or last, with what its metadata says of it.
 * @throws UserError `bad-preprocessing`, or `not-loadable` where it takes no image at once, or more than fit into the memory.
 */
function checkImages(shape: readonly (number | string)[], { height, width }: Preprocessing, name: string): void {
  const [batch] = shape;
  const sides = channelsOf(shape)?.isFirst ? shape.slice(2) : shape.slice(1, 3);
  const differs = (side: number | string | undefined, said: number) => typeof side === 'number' && side !== said;
  if (differs(sides[0], height) || differs(sides[1], width))
    throw new UserError(
      'bad-preprocessing',
      `the preprocessing of ${name} is wrong: it makes images of ${height}×${width} pixels, and the model takes ${sides.join('×')}; export the model again`,
    );
  if (typeof batch === 'number' && !(batch >= 1 && batch * height * width <= MOST_PIXELS_AT_ONCE))
    throw new UserError(
      'not-loadable',
      `${name} takes ${batch} images of ${height}×${width} pixels at once, and ort-tl gives it one to ${Math.floor(MOST_PIXELS_AT_ONCE / (height * width))}; export it with a batch of any size`,
    );
}

/**
 * A model as it is run. Of several outputs it is the one with as many scores as there are labels; where none has, what loads the model says
 * what is wrong with it.
 */
function formToRun(
  model: { readonly proto: ModelProto; readonly path: string },
  given: readonly string[] | undefined,
): Pick<PlainForm, 'proto' | 'warnings'> {
  const { proto, path } = model;
  const asItIs = { proto, warnings: [] };
  const outputs = proto.graph?.output ?? [];
  try {
    const labels = outputs.length > 1 ? (given ?? labelsOf(model)) : [];
    return runnableForm(proto, path, outputs.find((output) => isRowOf(labels.length, output))?.name);
  } catch (thrown) {
    if (thrown instanceof UserError && UNTOLD.has(thrown.code)) return asItIs;
    throw thrown;
  }
}

/** Codes for a model that does not tell which of its outputs has the scores. */
const UNTOLD: ReadonlySet<string> = new Set(['no-classifier', 'no-metadata', 'several-outputs']);

/** Codes for an exported model that takes no images, or gives no scores, as what ort-tl exports does. */
const CHANGED: ReadonlySet<string> = new Set(['not-loadable', 'unsupported-input']);

/** Whether an output is a row of `count` scores for each image, or a map of one place of them. */
function isRowOf(count: number, { type }: ValueInfoProto): boolean {
  const [, ...sizes] = type?.tensorType?.shape?.dim ?? [];
  const axes = sizes.filter(({ value }) => value.case !== 'dimValue' || value.value !== 1n);
  return axes.length === 1 && axes[0]?.value.case === 'dimValue' && axes[0].value.value === BigInt(count);
}

const logarithm = (share: number) => Math.log(Math.max(share, SMALLEST_SHARE));

function logOdds(probability: number): number {
  const p = Math.min(LARGEST_SHARE, Math.max(probability, SMALLEST_SHARE));
  return Math.log(p) - Math.log1p(-p);
}

const ENDINGS: ReadonlyMap<string, ScoreEnding> = new Map([
  ['Softmax', 'softmax'],
  ['LogSoftmax', 'logSoftmax'],
  ['Sigmoid', 'sigmoid'],
]);

/** What the output `name` comes of, apart from operators that leave numbers as they are. */
function endingOf({ graph }: ModelProto, name: string): ScoreEnding | undefined {
  const producers = new Map(graph?.node.flatMap((node) => node.output.map((output) => [output, node] as const)));
  let node = producers.get(name);
  while (node && PASSING.has(node.opType)) node = producers.get(node.input[0] ?? '');
  return ENDINGS.get(node?.opType ?? '');
}
