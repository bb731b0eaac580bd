import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { labelsOf } from '../../src/artifacts/labelsMetadata.js';
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  parsePreprocessing,
  type PreprocessingOptions,
  preprocessingOf,
  PRESETS,
  sideOf,
} from '../../src/artifacts/preprocessing.js';
import { setMetadata } from '../../src/onnx/model.js';
import { ModelProtoSchema } from '../../src/onnx/onnx_pb.js';

const good = { width: 224, height: 192, resize: 'crop', mean: IMAGENET_MEAN, std: IMAGENET_STD };

it('reads what a model says of its preprocessing', () => {
  expect(parsePreprocessing(JSON.parse(JSON.stringify(good)))).toEqual(good);
});

it.each([
  ['width', { ...good, width: 0 }],
  ['height', { ...good, height: 1.5 }],
  ['resize', { ...good, resize: 'stretch' }],
  ['mean', { ...good, mean: [0.5, 0.5] }],
  ['std.1', { ...good, std: [1, 0, 1] }],
  ['std.0', { ...good, std: [-1, 1, 1] }],
  // Numbers that float32 cannot hold, or that have none: JSON reads 1e999 as infinity.
  ['std.2', { ...good, std: [1, 1, 1e-40] }],
  ['mean.0', { ...good, mean: [1e39, 0, 0] }],
  ['mean.1', { ...good, mean: [0, JSON.parse('-1e999'), 0] }],
  ['mean.2', { ...good, mean: [0, 0, null] }],
  // Images that would fill the memory.
  ['width', { ...good, width: 1e6 }],
  ['height', { ...good, height: 1e300 }],
  ['width', { ...good, width: 8192, height: 8192 }],
  // What is nested deeply, or large, in a number's place.
  ['mean', { ...good, mean: Array.from({ length: 1e5 }, () => 0) }],
  ['resize', { ...good, resize: JSON.parse('['.repeat(1e5) + ']'.repeat(1e5)) as unknown }],
])('refuses a wrong %s and names it', (field, value) => {
  expect(() => parsePreprocessing(value)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
  expect(() => parsePreprocessing(value)).toThrow(`wrong at ${field}`);
});

/** A model that says `metadata` of its preprocessing, in a folder with `files`. */
function model(metadata?: string, files: Record<string, unknown> = {}, name = 'net.onnx') {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-'));
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const proto = create(ModelProtoSchema);
  if (metadata !== undefined) setMetadata(proto, new Map([['preprocessing', metadata]]));
  return { path: join(folder, name), proto };
}
const of = (given: ReturnType<typeof model>, options: PreprocessingOptions = {}) =>
  preprocessingOf(given, options, [224, 224]);
const triple = (value: number): [number, number, number] => [value, value, value];

it('names the model whose metadata is wrong, and does not read what is longer than any', () => {
  const long = JSON.stringify({ ...good, more: 'x'.repeat(1e5) });
  for (const wrong of ['[]', '{', long]) {
    const given = model(wrong);
    expect(() => of(given)).toThrow(`the preprocessing of ${given.path} is wrong`);
  }
});

it('refuses what is no object', () => {
  expect(() => parsePreprocessing(null)).toThrow(expect.objectContaining({ code: 'bad-preprocessing' }));
});

it('normalises as the preset says, else as the model says, else as torchvision, which is told', () => {
  const own = { ...good, mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
  const said = model(JSON.stringify(own));
  expect(of(said, { preprocessing: 'tf' }).preprocessing).toMatchObject(PRESETS.tf);
  expect(of(said)).toMatchObject({ preprocessing: { mean: own.mean, std: own.std }, notes: [], warnings: [] });
  const unsaid = of(model());
  expect(unsaid.preprocessing).toMatchObject({ mean: IMAGENET_MEAN, std: IMAGENET_STD, resize: 'crop' });
  expect(unsaid.warnings).toEqual([expect.stringMatching(/^nothing says how .* wants its pixels/)]);
  expect(of(model(), { preprocessing: 'tf' }).warnings).toEqual([]);
});

it('takes parts of the preprocessing from a text, and what it does not say from the model', () => {
  const own = { ...good, resize: 'squash', cropShare: 0.9 };
  const { preprocessing } = of(model(JSON.stringify(own)), { preprocessing: 'mean=0.1/0.2/0.3, crop=0.875' });
  expect(preprocessing).toEqual({ ...own, width: 224, height: 224, mean: [0.1, 0.2, 0.3], cropShare: 0.875 });
  expect(of(model(JSON.stringify(own)), { resize: 'crop' }).preprocessing.resize).toBe('crop');
  const half = of(model(), { preprocessing: 'std=0.5' });
  expect(half.preprocessing.std).toEqual(triple(0.5));
  expect(half.warnings).toEqual([expect.stringContaining("so torchvision's mean is taken")]);
});

it.each([
  ['imagenet', '"imagenet" is no part'],
  ['mean=', '"mean=" is no part'],
  ['mean=0.5/0.5', 'mean is one number, or three'],
  ['mean=a', 'mean is one number, or three'],
  ['std=0', 'std is above 0'],
  ['std=0.5,std=0.5', 'it says std twice'],
  ['crop=224', "crop is the share of a photo's sides"],
  ['size=0.5', 'size is a number of pixels'],
  ['gamma=2', 'it knows mean, std, size and crop, and no gamma'],
])('refuses the preprocessing %s', (text, reason) => {
  expect(() => of(model(), { preprocessing: text })).toThrow(reason);
});

it('takes the side of images from the text, and refuses two', () => {
  expect(sideOf(model(), { preprocessing: 'size=160' })).toEqual({ asked: 160 });
  expect(sideOf(model(JSON.stringify({ ...good, width: 96, height: 96 })), {})).toEqual({ usual: 96 });
  expect(() => sideOf(model(), { preprocessing: 'size=160', size: 224 })).toThrow(/expected one size of images/);
});

describe('a config of Hugging Face beside a model', () => {
  const vit = {
    do_resize: true,
    size: { height: 224, width: 224 },
    do_normalize: true,
    image_mean: triple(0.5),
    image_std: triple(0.5),
  };
  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    [
      'ViT, which squeezes photos',
      { 'preprocessor_config.json': vit },
      { resize: 'squash', mean: triple(0.5), std: triple(0.5) },
    ],
    [
      'ResNet of 2021, whose size is a number',
      { 'preprocessor_config.json': { ...vit, size: 256, do_center_crop: true, crop_size: 224 } },
      { resize: 'crop', cropShare: 0.875 },
    ],
    [
      'MobileNetV2',
      {
        'preprocessor_config.json': {
          ...vit,
          size: { shortest_edge: 256 },
          do_center_crop: true,
          crop_size: { height: 224, width: 224 },
        },
      },
      { resize: 'crop', cropShare: 0.875 },
    ],
    [
      'ConvNeXt, whose crop is a share',
      { 'preprocessor_config.json': { ...vit, size: { shortest_edge: 224 }, crop_pct: 0.875 } },
      { resize: 'crop', cropShare: 0.875 },
    ],
    [
      'ConvNeXt of 384 pixels, which squeezes',
      { 'preprocessor_config.json': { ...vit, size: { shortest_edge: 384 }, crop_pct: 0.875 } },
      { resize: 'squash' },
    ],
    [
      // Pixels are v / 127.5 − 1, and divided by the deviation twice.
      'EfficientNet',
      {
        'preprocessor_config.json': {
          ...vit,
          image_processor_type: 'EfficientNetImageProcessor',
          rescale_factor: 1 / 127.5,
          rescale_offset: true,
          include_top: true,
          image_mean: triple(0),
          image_std: triple(0.5),
        },
      },
      { mean: triple(0.5), std: triple(0.125) },
    ],
    [
      'a model that takes bytes',
      { 'preprocessor_config.json': { size: 224, do_rescale: false, do_normalize: false } },
      { mean: triple(0), std: triple(1 / 255) },
    ],
    [
      'a model of timm',
      {
        'config.json': {
          architecture: 'efficientnet_b0',
          pretrained_cfg: {
            input_size: [3, 256, 256],
            crop_pct: 0.9,
            crop_mode: 'center',
            mean: [0.1, 0.2, 0.3],
            std: triple(0.5),
          },
        },
      },
      { resize: 'crop', cropShare: 0.9, mean: [0.1, 0.2, 0.3] },
    ],
  ])('says the preprocessing of %s', (_, files, expected) => {
    const { preprocessing, notes, warnings } = of(model(undefined, files));
    for (const [key, value] of Object.entries(expected)) {
      const got = preprocessing[key as keyof typeof preprocessing];
      if (!Array.isArray(value)) expect(got).toBe(value);
      else
        for (const [channel, number] of value.entries())
          expect(Array.isArray(got) && got[channel]).toBeCloseTo(Number(number), 12);
    }
    expect(preprocessing.cropShare).toBe(expected['cropShare']);
    expect(warnings).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(/^pixels are prepared as .*config\.json says: mean /)]);
  });

  it('lies above the folder onnx too, and counts less than what the model says itself', () => {
    const files = { 'preprocessor_config.json': vit, 'onnx/.keep': '' };
    expect(of(model(undefined, files, 'onnx/model.onnx')).preprocessing.resize).toBe('squash');
    expect(of(model(JSON.stringify(good), files)).preprocessing).toMatchObject({ resize: 'crop', mean: IMAGENET_MEAN });
  });

  it('tells of a filter that ort-tl does not have', () => {
    const { notes } = of(model(undefined, { 'preprocessor_config.json': { ...vit, resample: 3 } }));
    expect(notes).toContainEqual(expect.stringContaining('the filter bicubic'));
  });

  it('says nothing where it is of something else', () => {
    for (const files of [{ 'config.json': { port: 8080 } }, { 'preprocessor_config.json': { sampling_rate: 16000 } }])
      expect(of(model(undefined, files)).warnings).toHaveLength(1);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no JSON', { 'config.json': '{' }, 'config.json'],
    ['a list', { 'config.json': [] }, 'config.json'],
    ['two channels', { 'preprocessor_config.json': { ...vit, image_mean: [0.5, 0.5] } }, 'at image_mean'],
    ['a deviation of 0', { 'preprocessor_config.json': { ...vit, image_std: triple(0) } }, 'at image_std'],
    ['words for sizes', { 'preprocessor_config.json': { ...vit, size: 'large' } }, 'at size'],
    ['images of a million pixels', { 'preprocessor_config.json': { ...vit, size: 1e6 } }, 'at size'],
    [
      'a part larger than the whole',
      { 'preprocessor_config.json': { ...vit, do_center_crop: true, crop_size: 256 } },
      'does not pad photos',
    ],
    ['nested brackets', { 'config.json': '['.repeat(1e5) }, 'config.json'],
    [
      'a crop of nothing',
      { 'config.json': { pretrained_cfg: { mean: triple(0.5), crop_pct: 0 } } },
      'at pretrained_cfg.crop_pct',
    ],
  ])('is refused with %s, in one line', (_, files, reason) => {
    const given = model(undefined, files);
    expect(() => of(given)).toThrow(expect.objectContaining({ code: 'bad-model-config' }));
    expect(() => of(given)).toThrow(reason);
    try {
      of(given);
    } catch (thrown) {
      expect(String(thrown)).not.toContain('\n');
    }
  });

  it('names the classes, and tells apart two of one name', () => {
    const id2label = { 1: 'crane', 0: 'tench', 2: 'crane' };
    expect(labelsOf(model(undefined, { 'config.json': { id2label } }))).toEqual(['tench', 'crane', 'crane (2)']);
    expect(labelsOf(model(undefined, { 'config.json': { label_names: ['a', 'b'] } }))).toEqual(['a', 'b']);
    expect(() => labelsOf(model(undefined, { 'config.json': { id2label: { 0: 'a', 2: 'b' } } }))).toThrow(
      /expected names for 0 to 1, and 1 has none/,
    );
    expect(() => labelsOf(model())).toThrow(/train it on photos of your classes first/);
  });
});

it.each([
  ['tf', -1, 1],
  ['unit', 0, 1],
  ['none', 0, 255],
] as const)('maps pixels by %s to %d … %d', (preset, black, white) => {
  const { mean, std } = PRESETS[preset];
  for (const channel of [0, 1, 2]) {
    expect((0 - (mean[channel] ?? NaN)) / (std[channel] ?? NaN)).toBeCloseTo(black, 10);
    expect((1 - (mean[channel] ?? NaN)) / (std[channel] ?? NaN)).toBeCloseTo(white, 10);
  }
});
