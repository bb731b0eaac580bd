import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { METADATA } from '../artifacts/manifest.js';
import type { Task } from '../artifacts/task.js';
import type { Dataset } from '../data/dataset.js';
import { evenly } from '../data/evenly.js';
import type { Photo } from '../data/photo.js';
import { openablePath } from '../data/fileNames.js';
import { findPhotos } from '../data/findPhotos.js';
import { labelIndex } from '../data/labels.js';
import { UserError } from '../errors.js';
import { decodeModel, encodeModel, type ModelFile, setMetadata } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import type { CalibrationMethod } from '../quantize/calibration.js';
import type { Range } from '../quantize/range.js';
import { passOn } from '../passOn.js';
import { Random } from '../random.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { inOrtFormat } from '../runtime/ortFormat.js';
import { runtimeVersion } from '../runtime/ort.js';
import { productsSaturate } from '../runtime/saturation.js';
import { TOLERANCES } from '../train/agreement.js';
import { asKnown } from '../train/evaluate.js';
import { observeRanges } from '../train/observeRanges.js';
import { calibrationPhotos } from '../train/quantizeFrozen.js';
import { InferenceModel, type InferenceOptions } from './inferenceModel.js';
import { compareModels, type Parity } from './parity.js';
import { encodeTuned, type Learned } from './run.js';
import { sha256 } from '../files.js';

export interface ExportOptions extends InferenceOptions {
  /** Whether the file is ONNX, or in ONNX Runtime's own format; default `onnx`. */
  readonly format?: 'onnx' | 'ort';
  /** The photos of the run: those that validate are compared on, and those that train calibrate. */
  readonly dataset?: Dataset;
  /** Photos that calibrate in place of the run's: a folder, a file or a glob. Without `dataset` they are compared on too. */
  readonly calibrationData?: string;
  /** How ranges of int8 are found, of how many photos; default percentile of 512. */
  readonly calibration?: { readonly method?: CalibrationMethod; readonly photos?: number };
  /**
   * Whether int8 weights have 7 bits, as x86 processors without VNNI need them; default what this machine needs.
   */
  readonly reducesRange?: boolean;
  /** The most photos that are compared on; default 256, spread evenly. */
  readonly verify?: number;
  /** Seed of what is drawn; default 0. */
  readonly seed?: number;
  /** Default 0: as many as ONNX Runtime likes. */
  readonly threads?: number;
}

export interface ExportProgress {
  readonly phase: 'calibrating' | 'comparing';
  readonly done: number;
  readonly total: number;
}

export interface ExportedModel {
  /** What the file is to hold; nobody has written it yet. */
  readonly bytes: Uint8Array;
  /** The model as ONNX, whatever the file's format. */
  readonly proto: ModelProto;
  readonly parity: Parity;
  /** Absent but for int8. */
  readonly calibration?: {
    readonly method: CalibrationMethod;
    readonly photos: number;
    readonly reducesRange: boolean;
  };
}

/**
 * What a run has learned as an inference model, which has been run on photos and compared with the tuned model; how they compare is in
 * its metadata too. Gives how far it is, and at the end the file's content.
 * @throws UserError `wrong-base`, `no-photos`, `unsupported-opset`, `bad-arguments` without any photos.
 */
export async function* exportModel(
  source: ModelFile,
  learned: Learned,
  options: ExportOptions,
): AsyncGenerator<ExportProgress, ExportedModel> {
  const { format = 'onnx', precision, dataset, verify = COMPARED, seed = 0, threads = 0 } = options;
  const { task, preprocessing } = learned.manifest;
  checkEnding(task, options);
  const tunedBytes = encodeTuned(source, learned);
  const tuned = { path: source.path, sha256: sha256(tunedBytes), proto: decodeModel(tunedBytes, source.path) };
  const { given, compared, photoSource } = await photosFor(learned, options);

  const inference = new InferenceModel(tuned, preprocessing, options);
  let ranges: ReadonlyMap<string, Range> = new Map();
  let calibration: ExportedModel['calibration'];
  if (precision === 'int8') {
    const { method = 'percentile', photos: count = CALIBRATING } = options.calibration ?? {};
    const chosen = given
      ? new Random(seed)
          .fork('calibration')
          .shuffle([...given])
          .slice(0, count)
      : dataset
        ? calibrationPhotos(dataset, count, seed)
        : [];
    const observing = observeRanges(inference.calibration(method), chosen, preprocessing, {
      method,
      threads,
      source: options.calibrationData ?? photoSource,
    });
    const total = chosen.length;
    const observed = yield* passOn(observing, (done): ExportProgress => ({ phase: 'calibrating', done, total }));
    ranges = observed.ranges;
    const reducesRange = options.reducesRange ?? (await productsSaturate());
    calibration = { method, photos: observed.photos, reducesRange };
  }
  const proto = inference.model(ranges, calibration?.reducesRange);
  const encode = (): Promise<Uint8Array> | Uint8Array => {
    const bytes = encodeModel(proto);
    return format === 'ort' ? inOrtFormat(bytes) : bytes;
  };

  const chosen = evenly(compared, verify);
  const before = await ImageClassifier.load(tuned.proto, tunedBytes, { threads, name: source.path });
  let parity: Parity;
  try {
    const bytes = await encode();
    const after = await loadExported(proto, bytes, threads, options.opset);
    try {
      const takesWhole = options.bakesPreprocessing ?? false;
      // Resizing of its own, or fewer bits, is another computation.
      const tolerance = precision === 'fp32' && !takesWhole ? TOLERANCES.float32 : null;
      const comparing = compareModels(before, after, chosen, { takesWhole, source: photoSource, tolerance });
      const total = chosen.length;
      const compared = yield* passOn(comparing, (done): ExportProgress => ({ phase: 'comparing', done, total }));
      parity = { ...compared, bytes: { trained: tunedBytes.byteLength, exported: bytes.byteLength } };
    } finally {
      await after.close();
    }
  } finally {
    await before.close();
  }
  // The file's size has its own digits in it.
  let bytes: Uint8Array;
  do {
    const told = { ...parity, ...(calibration ? { calibration } : {}), runtime: runtimeVersion };
    setMetadata(proto, new Map([[METADATA.parity, JSON.stringify(told)]]));
    bytes = await encode();
    const { trained, exported } = parity.bytes;
    if (exported === bytes.byteLength) break;
    parity = { ...parity, bytes: { trained, exported: bytes.byteLength } };
  } while (true);
  return { bytes, proto, parity, ...(calibration ? { calibration } : {}) };
}

interface ExportPhotos {
  /** Those that were given to calibrate. */
  readonly given: readonly Photo[] | undefined;
  /** Those to compare both models on. */
  readonly compared: readonly Photo[];
  /** Where the latter were found. */
  readonly photoSource: string;
}

/** @throws UserError `bad-arguments` where there are none to compare on. */
async function photosFor(
  { manifest: { task, classes } }: Learned,
  { dataset, calibrationData }: ExportOptions,
): Promise<ExportPhotos> {
  // No folder tells all labels of a photo.
  const known = task === 'labels' ? [] : classes;
  const given = calibrationData === undefined ? undefined : await labelled(calibrationData, known);
  const compared = dataset ? validationPhotos(dataset, classes) : given;
  if (!compared)
    throw new UserError('bad-arguments', 'expected photos to compare the exported model on (‹calibrationData›)');
  return { given, compared, photoSource: dataset?.folder ?? calibrationData ?? '' };
}

/** Photos that are compared on, and that calibrate. */
const COMPARED = 256;
const CALIBRATING = 512;

async function loadExported(
  proto: ModelProto,
  bytes: Uint8Array,
  threads: number,
  opset: number | undefined,
): Promise<ImageClassifier> {
  try {
    return await ImageClassifier.load(proto, bytes, { threads, name: 'the exported model' });
  } catch (thrown) {
    if (opset === undefined || !(thrown instanceof UserError) || thrown.code !== 'not-loadable') throw thrown;
    const [, newest] = /till opset (\d+)/.exec(thrown.message) ?? [];
    const reason = newest === undefined ? thrown.text : `this version of ONNX Runtime knows them up to ${newest}`;
    throw new UserError(
      'unsupported-opset',
      `the model cannot be written in operator set ${opset}: ${reason}; choose another, or leave ‹opset› out`,
      { cause: thrown },
    );
  }
}

/** @throws UserError `bad-arguments` for shares that are those of another task. */
function checkEnding(task: Task, { softmax = false, sigmoid = false }: InferenceOptions): void {
  if (softmax && task === 'labels')
    throw new UserError(
      'bad-arguments',
      'labels are no shares of one whole; leave out ‹softmax›, or have a probability of each (‹sigmoid›)',
    );
  if (sigmoid && task === 'classes')
    throw new UserError(
      'bad-arguments',
      'the classes are shares of one whole; leave out ‹sigmoid›, or have their probabilities (‹softmax›)',
    );
}

/** The photos that validate, by the classes that the model has. @throws UserError `unknown-class`. */
function validationPhotos(dataset: Dataset, classes: readonly string[]): Photo[] {
  const alien = dataset.classes.find((name) => labelIndex(classes, name) < 0);
  if (alien !== undefined)
    throw new UserError(
      'unknown-class',
      `the run knows no class "${alien}" of ${dataset.folder}; it knows ${classes.join(', ')}`,
    );
  const indices = dataset.classes.map((name) => labelIndex(classes, name));
  return dataset.val.map((photo) => asKnown(photo, indices));
}

/** Photos of a folder; one that is called as a class tells of which its photos are, others do not (−1): no folder tells all labels of a photo. */
async function labelled(place: string, classes: readonly string[]): Promise<Photo[]> {
  const { photos } = await findPhotos(place);
  const [first] = photos;
  if (photos.length === 1 && first && !existsSync(openablePath(first)))
    throw new UserError('no-photos', `there is nothing at ${place}; name a folder of photos (‹calibrationData›)`);
  return photos.map((photo) => ({ ...photo, label: labelIndex(classes, basename(dirname(photo.path))) }));
}
