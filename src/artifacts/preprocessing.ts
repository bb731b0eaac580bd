import { UserError } from '../errors.js';
import { metadataOf, type ModelFile } from '../onnx/model.js';
import { type PartialPreprocessing, preprocessingBeside } from './besideModel.js';
import { LEAST_SHARE, METADATA, type Preprocessing, preprocessingSchema } from './manifest.js';

/** The side of ImageNet's pictures in pixels, for a model that takes any. */
export const USUAL_SIZE = 224;
/** R, G, B of pixel/255 over ImageNet's training photos: what torchvision, timm and the ONNX model zoo normalise with. */
export const IMAGENET_MEAN: [number, number, number] = [0.485, 0.456, 0.406];
export const IMAGENET_STD: [number, number, number] = [0.229, 0.224, 0.225];

export interface PreprocessingOptions {
  /**
   * How pixels are normalised and how much of a photo is seen: a preset, or a text such as `mean=0.5,std=0.5,crop=0.875`; or the whole of the
   * preprocessing for images [height, width]. What it does not say is the model's own: what its metadata says, or a file of Hugging Face
   * beside it; else torchvision's.
   */
  readonly preprocessing?: string | ((imageSize: readonly [number, number]) => Preprocessing) | undefined;
  /** How photos are fitted; default what the model says of itself, else `crop`. */
  readonly resize?: Preprocessing['resize'] | undefined;
}

/** What is done to photos, and what is to be told of where that comes from. */
export interface StatedPreprocessing {
  readonly preprocessing: Preprocessing;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
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
type Preset = keyof typeof PRESETS;

/** What a text, a preset's name or `key=value,…`, says. @throws UserError `bad-arguments`. */
export function parseChosen(text: string): PartialPreprocessing {
  if (isPreset(text)) return PRESETS[text];
  const refuse = (reason: string) =>
    new UserError(
      'bad-arguments',
      `expected ${Object.keys(PRESETS).join(', ')}, or parts such as mean=0.5/0.5/0.5,std=0.5/0.5/0.5,size=224,crop=0.875, got \`${text}\`: ${reason} (‹preprocessing›)`,
    );
  const said: { -readonly [Key in keyof PartialPreprocessing]: PartialPreprocessing[Key] } = {};
  const seen = new Set<string>();
  for (const part of text.split(',')) {
    const [key = '', value = '', ...rest] = part.split('=').map((word) => word.trim());
    if (value === '' || rest.length > 0) throw refuse(`"${part.trim()}" is no part such as crop=0.875`);
    if (seen.has(key)) throw refuse(`it says ${key} twice`);
    seen.add(key);
    switch (key) {
      case 'mean':
      case 'std':
        said[key] = channelsOf(value, (reason) => refuse(`${key} ${reason}`), key === 'std');
        break;
      case 'size':
        said.side = Number(value);
        if (!(Number.isInteger(said.side) && said.side >= 1)) throw refuse('size is a number of pixels');
        break;
      case 'crop':
        said.cropShare = Number(value);
        if (!(said.cropShare >= LEAST_SHARE && said.cropShare <= 1))
          throw refuse(
            `crop is the share of a photo's sides that is seen, from ${LEAST_SHARE} to 1: 0.875 for 224 pixels of 256`,
          );
        break;
      default:
        throw refuse(`it knows mean, std, size and crop, and no ${key}`);
    }
  }
  return said;
}

function isPreset(text: string): text is Preset {
  return Object.hasOwn(PRESETS, text);
}

/** One number for all channels, or one for each with slashes between them; of deviations none may be 0. */
function channelsOf(
  text: string,
  refuse: (reason: string) => UserError,
  isDeviation: boolean,
): [number, number, number] {
  const numbers = text.split('/').map((word) => (word.trim() === '' ? NaN : Number(word)));
  const [red = NaN, green = red, blue = red] = numbers;
  if ((numbers.length !== 1 && numbers.length !== 3) || ![red, green, blue].every((each) => Math.abs(each) <= 1e6))
    throw refuse('is one number, or three with slashes: red/green/blue, of pixel/255');
  if (isDeviation && Math.min(red, green, blue) < 1e-6) throw refuse('is above 0');
  return [red, green, blue];
}

/** What a model says of its preprocessing by itself, by a file beside it, or not at all. */
interface Own {
  readonly said: PartialPreprocessing;
  /** The file that says it, where it is not the model's own metadata. */
  readonly file?: string;
  readonly notes: readonly string[];
}

/** @throws UserError `bad-preprocessing`, `bad-model-config`. */
function ownPreprocessing({ proto, path }: Pick<ModelFile, 'proto' | 'path'>): Own {
  const metadata = metadataOf(proto).get(METADATA.preprocessing);
  if (metadata === undefined) return preprocessingBeside(path) ?? { said: {}, notes: [] };
  const { mean, std, resize, cropShare, width, height } = readPreprocessing(metadata, path);
  const side = width === height ? { side: width } : {};
  return { said: { mean, std, resize, ...(cropShare === undefined ? {} : { cropShare }), ...side }, notes: [] };
}

/** What the metadata of a model says that ort-tl has exported, the size of its images too. @throws UserError `bad-preprocessing`. */
export function exportedPreprocessing({
  proto,
  path,
}: Pick<ModelFile, 'proto' | 'path'>): StatedPreprocessing | undefined {
  const metadata = metadataOf(proto).get(METADATA.preprocessing);
  return metadata === undefined
    ? undefined
    : { preprocessing: readPreprocessing(metadata, path), notes: [], warnings: [] };
}

/**
 * The side of the images that a model is to take, where its file leaves that open: what was chosen, else what it says of itself.
 * @throws UserError `bad-arguments` where two sizes were chosen, `bad-preprocessing`, `bad-model-config`.
 */
export function sideOf(
  model: Pick<ModelFile, 'proto' | 'path'>,
  { preprocessing, size }: Pick<PreprocessingOptions, 'preprocessing'> & { readonly size?: number | undefined },
): { readonly asked?: number; readonly usual?: number } {
  if (typeof preprocessing === 'function') return size === undefined ? {} : { asked: size };
  const chosen = preprocessing === undefined ? undefined : parseChosen(preprocessing).side;
  if (chosen !== undefined && size !== undefined && chosen !== size)
    throw new UserError(
      'bad-arguments',
      `expected one size of images, got ${size} (‹size›) and ${chosen} (‹preprocessing›)`,
    );
  const asked = size ?? chosen;
  if (asked !== undefined) return { asked };
  const { side } = ownPreprocessing(model).said;
  return side === undefined ? {} : { usual: side };
}

/**
 * What is done to photos before images [height, width] of `model`, by what `options` say.
 * @throws UserError `bad-preprocessing`, `bad-model-config`, `bad-arguments`.
 */
export function preprocessingOf(
  model: Pick<ModelFile, 'proto' | 'path'>,
  options: PreprocessingOptions,
  imageSize: readonly [number, number],
): StatedPreprocessing {
  const [height, width] = imageSize;
  const { preprocessing: choice, resize: fitting } = options;
  if (typeof choice === 'function') {
    const preprocessing = parsePreprocessing(choice(imageSize), `a training of ${model.path}`);
    return { preprocessing, notes: [], warnings: [] };
  }
  const chosen = choice === undefined ? {} : parseChosen(choice);
  const own = ownPreprocessing(model);
  const { mean = IMAGENET_MEAN, std = IMAGENET_STD } = { ...own.said, ...chosen };
  const { cropShare = 1, resize = 'crop' } = { ...own.said, ...chosen, ...(fitting ? { resize: fitting } : {}) };
  const stated = { height, width, resize, ...(cropShare === 1 ? {} : { cropShare }), mean, std };
  const preprocessing = parsePreprocessing(stated, model.path);
  const unsaid = (['mean', 'std'] as const).filter((key) => chosen[key] === undefined && own.said[key] === undefined);
  const guessed =
    unsaid.length === 0
      ? []
      : [
          `nothing says how ${model.path} wants its pixels, so torchvision's ${unsaid.map((key) => (key === 'mean' ? 'mean' : 'deviation')).join(' and ')} ${unsaid.length > 1 ? 'are' : 'is'} taken, which is a guess; where it was trained with others, say so (‹preprocessing›)`,
        ];
  const told =
    own.file === undefined ? [] : [`pixels are prepared as ${own.file} says: ${showPreprocessing(preprocessing)}`];
  return { preprocessing, notes: [...told, ...own.notes], warnings: guessed };
}

/** A preprocessing in words. */
function showPreprocessing({ mean, std, resize, cropShare = 1 }: Preprocessing): string {
  const show = (numbers: readonly number[]) => numbers.map((each) => Number(each.toPrecision(4))).join('/');
  const seen = cropShare < 1 ? `, of which the middle ${Number((100 * cropShare).toPrecision(4))} % is seen` : '';
  return `mean ${show(mean)}, deviation ${show(std)}, photos ${resize === 'crop' ? 'cut' : 'squeezed'} to fit${seen}`;
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
