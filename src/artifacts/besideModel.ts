import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../errors.js';
import { MOST_BYTES, readRegularFileSync } from '../files.js';
import { machineErrorOf } from '../machineError.js';
import { LARGEST_SIDE, LONGEST_LABEL, type Preprocessing } from './manifest.js';

/** What is said of how photos are prepared; what is not said is absent. */
export interface PartialPreprocessing extends Partial<Pick<Preprocessing, 'mean' | 'std' | 'resize' | 'cropShare'>> {
  /** The side of the images in pixels. */
  readonly side?: number;
}

/** What a file beside a model says, and what of it ort-tl does otherwise. */
interface Beside<Said> {
  readonly file: string;
  readonly said: Said;
  readonly notes: readonly string[];
}

const number = z.number().min(-1e6).max(1e6);
const channels = z.union(
  [number.transform((value) => [value, value, value] as const), z.tuple([number, number, number])],
  {
    error: 'expected three numbers, for red, green and blue',
  },
);
const side = z.number().int().min(1).max(LARGEST_SIDE);
const sides = z.union([side, z.object({ shortest_edge: side }), z.object({ height: side, width: side })], {
  error: 'expected a number of pixels, {"shortest_edge": …} or {"height": …, "width": …}',
});
type Sides = z.infer<typeof sides>;
const share = z.number().gt(0).max(1);

/** transformers' `preprocessor_config.json`, as far as it is read. */
const processorSchema = z.looseObject({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  image_mean: channels.nullish(),
  image_std: channels.nullish(),
  do_normalize: z.boolean().nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().gt(0).max(1e6).nullish(),
  rescale_offset: z.boolean().nullish(),
  include_top: z.boolean().nullish(),
  do_resize: z.boolean().nullish(),
  size: sides.nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: sides.nullish(),
  crop_pct: share.nullish(),
  resample: z.number().int().nullish(),
});
type Processor = z.infer<typeof processorSchema>;

/** timm's `pretrained_cfg`. */
const timmSchema = z.looseObject({
  mean: channels.nullish(),
  std: channels.nullish(),
  input_size: z.tuple([z.number().int(), side, side]).nullish(),
  crop_pct: share.nullish(),
  crop_mode: z.string().nullish(),
  interpolation: z.string().nullish(),
  label_names: z.array(z.string().max(LONGEST_LABEL)).nullish(),
});
type Timm = z.infer<typeof timmSchema>;

/** `config.json`, which any program may have written: only what is known by name counts. */
const configSchema = z.looseObject({
  pretrained_cfg: timmSchema.nullish(),
  id2label: z.record(z.string(), z.string().max(LONGEST_LABEL)).nullish(),
  label_names: z.array(z.string().max(LONGEST_LABEL)).nullish(),
});

/** The only part of it that tells of several labels: whatever else is in it may be wrong for that. */
const problemSchema = z.looseObject({ problem_type: z.unknown().optional() });

/** PIL's numbers of filters. */
const FILTERS = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/**
 * What `preprocessor_config.json` of transformers, or `pretrained_cfg` in timm's `config.json`, says of a model beside which it lies, or
 * above its folder where that is called `onnx`; undefined where there is none, or where it says nothing of pixels.
 * @throws UserError `bad-model-config` for a file that cannot be read, or says what makes no sense.
 */
export function preprocessingBeside(model: string): Beside<PartialPreprocessing> | undefined {
  const processor = readBeside(model, 'preprocessor_config.json', processorSchema);
  if (processor && (processor.value.image_mean ?? processor.value.image_std ?? processor.value.size) != null)
    return { file: processor.file, ...ofProcessor(processor.value, processor.file) };
  const config = readBeside(model, 'config.json', configSchema);
  if (!config?.value.pretrained_cfg) return undefined;
  return { file: config.file, ...ofTimm(config.value.pretrained_cfg, config.file) };
}

/**
 * The classes that `config.json` beside a model names: `id2label`, or timm's `label_names`. Where two have one name, a number tells them apart.
 * @throws UserError `bad-model-config`.
 */
export function labelsBeside(model: string): Beside<string[]> | undefined {
  const config = readBeside(model, 'config.json', configSchema);
  if (!config) return undefined;
  const { id2label, label_names: own, pretrained_cfg: timm } = config.value;
  const named = id2label ? inOrder(id2label, config.file) : (own ?? timm?.label_names);
  if (!named || named.length === 0) return undefined;
  const counts = new Map<string, number>();
  const labels = named.map((label) => {
    const count = (counts.get(label) ?? 0) + 1;
    counts.set(label, count);
    return count === 1 ? label : `${label} (${count})`;
  });
  if (new Set(labels).size < labels.length) throw wrong(config.file, 'id2label', 'two classes have one name');
  return { file: config.file, said: labels, notes: [] };
}

/** Whether `config.json` beside a model says that an image may have several of its classes. @throws UserError `bad-model-config`. */
export const isOfSeveralLabels = (model: string): boolean =>
  readBeside(model, 'config.json', problemSchema)?.value.problem_type === 'multi_label_classification';

function inOrder(names: Readonly<Record<string, string>>, file: string): string[] {
  const count = Object.keys(names).length;
  return Array.from({ length: count }, (_, index) => {
    const name = Object.hasOwn(names, String(index)) ? names[String(index)] : undefined;
    if (name === undefined)
      throw wrong(file, 'id2label', `expected names for 0 to ${count - 1}, and ${index} has none`);
    return name;
  });
}

function ofProcessor(processor: Processor, file: string): Pick<Beside<PartialPreprocessing>, 'said' | 'notes'> {
  const { image_mean: mean, image_std: std, resample } = processor;
  const said: { -readonly [Key in keyof PartialPreprocessing]: PartialPreprocessing[Key] } = viewOf(processor, file);
  if (processor.do_normalize === false || (mean && std)) {
    // A pixel is rescaled, moved, and normalised; here all three are one step on pixel/255.
    const scale = processor.do_rescale === false ? 1 : (processor.rescale_factor ?? 1 / 255);
    const offset = processor.rescale_offset ? 1 : 0;
    const [means, deviations] =
      processor.do_normalize === false || !mean || !std
        ? [
            [0, 0, 0],
            [1, 1, 1],
          ]
        : [mean, std];
    const type = processor.image_processor_type ?? processor.feature_extractor_type ?? '';
    const again = type.startsWith('EfficientNet') ? processor.include_top !== false : processor.include_top === true;
    // EfficientNet's processor divides by the deviation once more where the model has its head.
    const spread = (value: number) => (again && processor.do_normalize !== false ? value ** 2 : value);
    if (deviations.some((value) => !(value > 0))) throw wrong(file, 'image_std', 'expected numbers above 0');
    said.mean = tripleOf((channel) => ((means[channel] ?? 0) + offset) / (255 * scale));
    said.std = tripleOf((channel) => spread(deviations[channel] ?? 1) / (255 * scale));
  }
  return {
    said,
    notes: noteOfFilter(resample == null ? undefined : (FILTERS[resample] ?? `filter ${resample}`), file),
  };
}

/** How a processor of transformers fits photos. */
function viewOf(processor: Processor, file: string): PartialPreprocessing {
  const { size, crop_size: crop, do_center_crop: crops = crop != null, crop_pct: cropShare } = processor;
  if (size == null) return {};
  const shortest = shortestOf(size);
  const fits = processor.do_resize ?? true;
  if (!fits) return { side: crops && crop != null ? shortestOf(crop) : shortest };
  const keepsAspect = typeof size === 'number' ? crops === true : 'shortest_edge' in size;
  // ConvNeXt's: smaller images are cut out of larger ones, images from 384 pixels on are the whole photo.
  if (cropShare != null && keepsAspect && !crops)
    return shortest < 384 ? { side: shortest, resize: 'crop', cropShare } : { side: shortest, resize: 'squash' };
  const seen = crops && crop != null ? shortestOf(crop) : shortest;
  if (seen > shortest)
    throw wrong(file, 'crop_size', `expected no more than the size, ${shortest}; ort-tl does not pad photos`);
  const resize = keepsAspect ? 'crop' : 'squash';
  return { side: seen, resize, ...(seen < shortest ? { cropShare: seen / shortest } : {}) };
}

function shortestOf(size: Sides): number {
  if (typeof size === 'number') return size;
  return 'height' in size ? Math.min(size.height, size.width) : size.shortest_edge;
}

function ofTimm(timm: Timm, file: string): Pick<Beside<PartialPreprocessing>, 'said' | 'notes'> {
  const { mean, std, input_size: input, crop_pct: cropShare, crop_mode: mode, interpolation } = timm;
  if (std?.some((value) => !(value > 0))) throw wrong(file, 'pretrained_cfg.std', 'expected numbers above 0');
  const isPadded = mode === 'border';
  const said = {
    ...(mean ? { mean: tripleOf((channel) => mean[channel] ?? 0) } : {}),
    ...(std ? { std: tripleOf((channel) => std[channel] ?? 1) } : {}),
    ...(input ? { side: Math.min(input[1], input[2]) } : {}),
    resize: mode === 'squash' ? ('squash' as const) : ('crop' as const),
    ...(cropShare != null && cropShare < 1 && !isPadded ? { cropShare } : {}),
  };
  const padded = isPadded
    ? [`${file} has photos padded to a square; ort-tl cuts their edges (‹resize› squash changes their aspect)`]
    : [];
  return { said, notes: [...padded, ...noteOfFilter(interpolation ?? undefined, file)] };
}

function noteOfFilter(filter: string | undefined, file: string): string[] {
  if (filter === undefined || filter === 'bilinear' || filter === 'random') return [];
  return [`${file} has photos resized with the filter ${filter}; ort-tl resizes with bilinear, which differs little`];
}

const tripleOf = (each: (channel: number) => number): [number, number, number] => [each(0), each(1), each(2)];

/** A file beside the model, or above its folder `onnx`; undefined where there is none. */
function readBeside<Schema extends z.ZodType>(
  model: string,
  name: string,
  schema: Schema,
): { file: string; value: z.infer<Schema> } | undefined {
  const folder = dirname(model);
  const folders = basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder];
  const file = folders.map((each) => join(each, name)).find((path) => existsSync(path));
  if (file === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(readRegularFileSync(file, MOST_BYTES.settings * 16)));
  } catch (thrown) {
    throw machineErrorOf(thrown) ?? wrong(file, undefined, messageOf(thrown));
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { file, value: parsed.data };
  const [issue] = parsed.error.issues;
  throw wrong(file, issue?.path.join('.'), issue?.message ?? 'not understood');
}

function wrong(file: string, field: string | undefined, reason: string): UserError {
  const where = field ? ` at ${field}` : '';
  return new UserError(
    'bad-model-config',
    `${file}, which says how the model beside it takes pixels and what it calls its classes, is wrong${where}: ${reason}; get it anew, or take it away and say so yourself (‹preprocessing›, ‹labels›)`,
  );
}
