import { fittedSize } from '../artifacts/fittedSize.js';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Preprocessing } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { type FileContent, sha256 } from '../files.js';
import { refuseForeign } from '../foreignFiles.js';
import { isOwnFolder, markerFile } from '../marker.js';
import { packageVersion } from '../version.js';
import type { ExportedModel } from './exportModel.js';
import type { Precision } from './inferenceModel.js';

const CONFIG = 'config.json';
const PREPROCESSOR = 'preprocessor_config.json';
const CARD = 'README.md';
const PURPOSE = 'transformers-js';

/** The files of a model in each precision: those that transformers.js looks for by its option `dtype`, which is `int8` or `q8` for the last. */
const MODELS: Readonly<Record<Precision, readonly string[]>> = {
  fp32: [join('onnx', 'model.onnx')],
  fp16: [join('onnx', 'model_fp16.onnx')],
  int8: [join('onnx', 'model_int8.onnx'), join('onnx', 'model_quantized.onnx')],
};
/** What `dtype` is where nobody says it: the most exact that is there. */
const DTYPES: readonly (readonly [Precision, string])[] = [
  ['fp32', 'fp32'],
  ['fp16', 'fp16'],
  ['int8', 'q8'],
];
/** What a photo's longest side is reduced to before the model takes it, as so many times the model's own. */
const LARGEST = 8;

export interface TransformersJsOptions {
  readonly labels: readonly string[];
  /** Of labels, of which a photo may have any number: from which probability on it has each. */
  readonly thresholds?: readonly number[] | undefined;
  readonly preprocessing: Preprocessing;
  readonly precision: Precision;
  /** Whether the model resizes photos by itself. */
  readonly bakesPreprocessing: boolean;
  /** What tells the run apart from others: the hash of its tuned model. */
  readonly tunedSha256: string;
  /** The model card of the run, if it has one. */
  readonly card: string | undefined;
}

const configSchema = z.object({ ort_tl: z.object({ settings: z.string() }) });

/**
 * Checks a folder before a model is made for it.
 * @throws UserError `foreign-files` when the folder holds files that the export would replace, and ort-tl did not write them; `other-export`
 * as {@link transformersJsFolder}.
 */
export function checkTransformersJsFolder(folder: string, options: TransformersJsOptions): void {
  if (!isOwnFolder(folder, PURPOSE))
    refuseForeign(folder, [CONFIG, PREPROCESSOR, CARD, ...Object.values(MODELS).flat()], 'the export');
  refuseOther(folder, options);
}

/** @throws UserError `not-expressible` for a preprocessing that transformers.js has no words for. */
export function checkExpressible({ width, height, resize }: Preprocessing): void {
  if (resize === 'squash' || width === height) return;
  throw new UserError(
    'not-expressible',
    `transformers.js cannot cut ${width}×${height} pixels out of a photo as the training did; leave out ‹preprocessing› apart, so that the model does it`,
  );
}

/**
 * The files of a folder that `pipeline('image-classification', folder)` of transformers.js loads. A folder that holds the same run in other
 * precisions keeps them.
 * @throws UserError `other-export` where it holds another run, or the same with other preprocessing.
 */
export function transformersJsFolder(
  folder: string,
  exported: ExportedModel,
  options: TransformersJsOptions,
): FileContent[] {
  refuseOther(folder, options);
  const { labels, thresholds, precision, card } = options;
  const { preprocessor, settings } = settingsOf(options);
  const names = MODELS[precision];
  const [, dtype] = DTYPES.find(([each]) => each === precision || isThere(folder, each)) ?? [];
  const config = {
    // Any of its classifiers hands over what goes in and comes out as it is.
    model_type: 'resnet',
    architectures: ['ResNetForImageClassification'],
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((label, index) => [String(index), label])),
    label2id: Object.fromEntries(labels.map((label, index) => [label, index])),
    ...(thresholds ? { problem_type: 'multi_label_classification' } : {}),
    'transformers.js_config': { dtype },
    ort_tl: { version: packageVersion, settings, ...(thresholds ? { thresholds } : {}) },
  };
  const jsonFile = (name: string, value: unknown): FileContent => ({
    path: join(folder, name),
    parts: [`${JSON.stringify(value, null, 2)}\n`],
  });
  return [
    markerFile(folder, PURPOSE),
    ...names.map((name) => ({ path: join(folder, name), parts: [exported.bytes] })),
    jsonFile(PREPROCESSOR, preprocessor),
    ...(card === undefined ? [] : [{ path: join(folder, CARD), parts: [card] }]),
    jsonFile(CONFIG, config),
  ];
}

/** What the models of one folder have in common. */
function settingsOf({ labels, preprocessing, bakesPreprocessing, tunedSha256 }: TransformersJsOptions) {
  const preprocessor = preprocessorConfig(preprocessing, bakesPreprocessing);
  return { preprocessor, settings: sha256(Buffer.from(JSON.stringify([tunedSha256, labels, preprocessor]))) };
}

/** @throws UserError `other-export` where models in other precisions would get the wrong settings. */
function refuseOther(folder: string, options: TransformersJsOptions): void {
  const others = DTYPES.filter(([each]) => each !== options.precision && isThere(folder, each));
  if (others.length === 0 || settingsIn(folder) === settingsOf(options).settings) return;
  throw new UserError(
    'other-export',
    `${folder} holds a model in ${others.map(([each]) => each).join(' and ')} of another run, or with other preprocessing, which would get the wrong settings; choose another folder (‹out›), or remove that one`,
  );
}

const isThere = (folder: string, precision: Precision) =>
  MODELS[precision].some((name) => existsSync(join(folder, name)));

function settingsIn(folder: string): string | undefined {
  try {
    return configSchema.parse(JSON.parse(readFileSync(join(folder, CONFIG), 'utf8'))).ort_tl.settings;
  } catch {
    return undefined;
  }
}

/**
 * How transformers.js prepares photos. Of its kernels none is that of the training (bilinear and bicubic read single pixels when they shrink, Lanczos
 * is sharper, a browser has its own), so a model that resizes by itself gets photos as they are, up to a size that the memory
 * bears. ViT's processor is the plain one; EfficientNet's would square the deviation.
 */
function preprocessorConfig(preprocessing: Preprocessing, bakes: boolean): object {
  const { width, height, resize, mean, std } = preprocessing;
  const whole = fittedSize(preprocessing);
  const window = { width, height };
  const longest = LARGEST * Math.max(width, height);
  const LANCZOS = 1;
  const fitted = bakes
    ? { do_resize: false, do_thumbnail: true, size: { width: longest, height: longest }, do_center_crop: false }
    : {
        do_resize: true,
        size: resize === 'squash' ? whole : { shortest_edge: whole.height },
        do_center_crop: true,
        crop_size: window,
      };
  return {
    image_processor_type: 'ViTImageProcessor',
    ...fitted,
    resample: LANCZOS,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}
