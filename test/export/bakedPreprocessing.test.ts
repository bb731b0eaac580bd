import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { decodePixels } from '../../src/data/decode.js';
import { bakePreprocessing, type TakenPhotos } from '../../src/export/bakedPreprocessing.js';
import { Node, Value } from '../../src/graph/graph.js';
import { modelOfGraph } from '../../src/graph/proto.js';
import { encodeModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';

const MEAN = [0.485, 0.456, 0.406] as const;
const STD = [0.229, 0.224, 0.225] as const;

/** What a model with nothing but its preprocessing makes of pixels [height, width, 3], as bytes again. */
async function prepared(
  pixels: Uint8Array,
  [height, width]: readonly [number, number],
  preprocessing: Preprocessing,
  takes: TakenPhotos,
): Promise<number[]> {
  const { height: rows, width: columns } = preprocessing;
  const image = new Value('x', 'float32', [{ batch: 1 }, 3, rows, columns]);
  const shown = new Value('y', 'float32', [{ batch: 1 }, 3, rows, columns]);
  const graph = {
    opset: 18,
    inputs: [image],
    outputs: [shown],
    nodes: [new Node({ op: 'Identity', name: 'whole', inputs: [image], outputs: [shown] })],
  };
  const proto = modelOfGraph(bakePreprocessing(graph, preprocessing, takes, 'photo'), 'test');
  const session = await ort.InferenceSession.create(encodeModel(proto), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const area = width * height;
  const planes = new Float32Array(3 * area);
  for (let at = 0; at < area; at++)
    for (let c = 0; c < 3; c++)
      planes[c * area + at] = ((pixels[3 * at + c] ?? NaN) / 255 - (MEAN[c] ?? NaN)) / (STD[c] ?? NaN);
  const photo =
    takes === 'bytes'
      ? new ort.Tensor('uint8', pixels, [1, height, width, 3])
      : new ort.Tensor('float32', planes, [1, 3, height, width]);
  const { y } = await session.run({ photo });
  const values = y?.data as Float32Array;
  await session.release();
  return Array.from({ length: rows * columns * 3 }, (_, at) => {
    const c = at % 3;
    const value = values[c * rows * columns + Math.floor(at / 3)] ?? NaN;
    return Math.round((value * (STD[c] ?? NaN) + (MEAN[c] ?? NaN)) * 255) + 0;
  });
}

/** The last digit of a number decides how a half is rounded and a weight is cut; it is the processor's, and may be another one here. */
function expectAlike(given: readonly number[], expected: Uint8Array): void {
  const differences = given.map((value, at) => Math.abs(value - (expected[at] ?? NaN)));
  expect(Math.max(...differences)).toBeLessThanOrEqual(1);
  expect(differences.filter((each) => each > 0).length / differences.length).toBeLessThan(0.01);
}

/** Height and width of a photo, and of what is wanted of it. */
const CASES = [
  ['shrinks a little', [97, 64], [60, 60], 'crop'],
  ['shrinks to a third', [256, 342], [96, 96], 'crop'],
  ['shrinks by halves', [128, 128], [64, 64], 'crop'],
  ['averages three pixels first, and shrinks', [431, 300], [48, 48], 'crop'],
  ['averages seven pixels first, and shrinks', [700, 733], [48, 48], 'crop'],
  ['cuts the sides off', [90, 301], [64, 64], 'crop'],
  ['makes no square', [200, 301], [64, 80], 'crop'],
  ['leaves it as it is', [48, 48], [48, 48], 'crop'],
  ['squashes', [200, 301], [64, 80], 'squash'],
] as const;
/** The share of each side of the fitted photo that is seen. */
const SHARES = [
  ['crop', 0.875],
  ['squash', 0.875],
] as const;

it.each(CASES.flatMap((each) => [[...each, 'bytes'] as const, [...each, 'normalized'] as const]))(
  'a model that prepares photos by itself %s as photos are decoded: %j to %j, %s, of %s',
  async (_, [height, width], [rows, columns], resize, takes) => {
    const preprocessing: Preprocessing = { height: rows, width: columns, resize, mean: [...MEAN], std: [...STD] };
    const random = new Random(height);
    const pixels = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const expected = await decodePixels(png, preprocessing);
    const given = await prepared(pixels, [height, width], preprocessing, takes);
    expectAlike(given, expected);
  },
);

it.each([
  ['crop', [31, 47], [64, 64]],
  ['squash', [31, 47], [64, 80]],
] as const)(
  'a model that prepares photos by itself enlarges them as they are enlarged: %s',
  async (resize, [height, width], [rows, columns]) => {
    const preprocessing: Preprocessing = { height: rows, width: columns, resize, mean: [...MEAN], std: [...STD] };
    const random = new Random(height);
    const pixels = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const expected = await decodePixels(png, preprocessing);
    const given = await prepared(pixels, [height, width], preprocessing, 'bytes');
    expectAlike(given, expected);
  },
);

it.each(SHARES)(
  'a model that prepares photos by itself shows the same middle of them: %s, %d',
  async (resize, cropShare) => {
    const [height, width] = [181, 140];
    const preprocessing: Preprocessing = { height: 56, width: 49, resize, cropShare, mean: [...MEAN], std: [...STD] };
    const random = new Random(height);
    const pixels = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    expectAlike(
      await prepared(pixels, [height, width], preprocessing, 'bytes'),
      await decodePixels(png, preprocessing),
    );
  },
);
