import { METADATA, type Preprocessing, preprocessingSchema } from './manifest.js';
import { UserError } from '../errors.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';

/** R, G, B of pixel/255 over ImageNet's training photos: what torchvision, timm and the ONNX model zoo normalise with. */
export const IMAGENET_MEAN: [number, number, number] = [0.485, 0.456, 0.406];
export const IMAGENET_STD: [number, number, number] = [0.229, 0.224, 0.225];

export interface PreprocessingOptions {
  /**
   * How pixels are normalised: a preset, or the whole of the preprocessing for images [height, width]; the default is what the
   * model's metadata says, else torchvision.
   */
  readonly preprocessing?: Preset | ((imageSize: readonly [number, number]) => Preprocessing);
  /** How photos are fitted where `preprocessing` does not say it; default `crop`. */
  readonly resize?: Preprocessing['resize'];
}

type Normalization = Pick<Preprocessing, 'mean' | 'std'>;

/** What models expect, by the name of who exported them. Values are R, G, B of pixel/255. */
export const PRESETS = {
  /** torchvision, most of timm, the ONNX model zoo. */
  torchvision: { mean: IMAGENET_MEAN, std: IMAGENET_STD },
  /** −1 to 1: Keras' MobileNet, Inception and Xception. */
  tf: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  /** 0 to 1. */
  unit: { mean: [0, 0, 0], std: [1, 1, 1] },
  /** 0 to 255, for models that normalise by themselves: Keras' EfficientNet. */
  none: { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
} as const satisfies Record<string, Normalization>;
export type Preset = keyof typeof PRESETS;

/**
 * Mean and deviation of `preset`, else those that the model names in its metadata (`metadata` is that entry's JSON, `name` what messages call the model), else
 * torchvision's.
 * @throws UserError `bad-preprocessing` where the metadata is wrong.
 */
export function normalizationFor(
  preset: Preset | undefined,
  metadata: string | undefined,
  name?: string,
): Normalization {
  if (preset !== undefined) return PRESETS[preset];
  if (metadata === undefined) return PRESETS.torchvision;
  const { mean, std } = readPreprocessing(metadata, name);
  return { mean, std };
}

/**
 * What is done to photos before images [height, width] of `model`, by what `options` say.
 * @throws UserError `bad-preprocessing`.
 */
export function preprocessingOf(
  model: ModelFile,
  options: PreprocessingOptions,
  imageSize: readonly [number, number],
): Preprocessing {
  const { preprocessing: chosen, resize = 'crop' } = options;
  if (typeof chosen === 'function') return parsePreprocessing(chosen(imageSize), `a training of ${model.path}`);
  const [height, width] = imageSize;
  const metadata = metadataOf(model.proto).get(METADATA.preprocessing);
  return { height, width, resize, ...normalizationFor(chosen, metadata, model.path) };
}

/** What says a few numbers and a word is no longer than this. */
const MOST_CHARACTERS = 10_000;

/**
 * The preprocessing that a model's metadata names, after `JSON.parse`; messages call the model `name`.
 * @throws UserError `bad-preprocessing` with the first field that is wrong.
 */
export function parsePreprocessing(value: unknown, name = 'the model'): Preprocessing {
  const parsed = preprocessingSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.length ? ` at ${issue.path.join('.')}` : '';
  throw new UserError(
    'bad-preprocessing',
    `the preprocessing of ${name} is wrong${where}: ${issue?.message ?? 'not understood'}; expected width, height, resize (squash or crop), mean and std (R, G, B of pixel/255)`,
  );
}

/**
 * Does what {@link parsePreprocessing} does for the metadata's text.
 * @throws UserError `bad-preprocessing`.
 */
export function readPreprocessing(metadata: string, name?: string): Preprocessing {
  return parsePreprocessing(metadata.length <= MOST_CHARACTERS ? parseJson(metadata) : undefined, name);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
