import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import { decodePhoto, decodeWhole } from '../../src/data/decode.js';
import { ImageFolder } from '../../src/data/imageFolder.js';
import { drawPictures } from '../../src/data/pictures.js';
import { type ExportedModel, exportModel, type ExportOptions } from '../../src/export/exportModel.js';
import { halfBits } from '../../src/onnx/float16.js';
import { encodeTuned, type Learned, readLearned } from '../../src/export/run.js';
import { bindShape } from '../../src/graph/graph.js';
import { graphOfModel } from '../../src/graph/proto.js';
import { decodeModel, metadataOf, type ModelFile, opsetOf, readModel } from '../../src/onnx/model.js';
import type { ModelProto } from '../../src/onnx/onnx_pb.js';
import { ImageClassifier } from '../../src/runtime/classifier.js';
import { Trainer } from '../../src/train/trainer.js';
import { CIFAR_10, EFFICIENTNET_B0, SMALL_CNN, TINY_MBCONV, TINY_RESNET } from '../models.js';
import { openDataset } from '../../src/data/openDataset.js';

const ZOO = fileURLToPath(new URL('../fixtures/zoo/', import.meta.url));
const INTEL = fileURLToPath(new URL('../../../shared/data/intel', import.meta.url));
const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

let dataset: Dataset;
let source: ModelFile;
let learned: Learned;

async function learn(model: ModelFile, photos: Dataset, epochs = 1, policy = 'F1C1'): Promise<Learned> {
  const out = join(folder(), 'run');
  await new Trainer({ model, dataset: photos, policy, epochs, out, verify: 0, batch: 8 }).run();
  return readLearned(out);
}

async function exported(
  options: Partial<ExportOptions> & { model?: ModelFile; of?: Learned } = {},
): Promise<ExportedModel> {
  const { model = source, of = learned, ...rest } = options;
  const exporting = exportModel(model, of, { precision: 'fp32', dataset, threads: 1, ...rest });
  let state = await exporting.next();
  while (!state.done) state = await exporting.next();
  return state.value;
}

const opsOf = ({ graph }: ModelProto) => graph?.node.map(({ opType }) => opType) ?? [];
/** Bytes of initializers of the element type with this code. */
const bytesOf = ({ graph }: ModelProto, code: number) =>
  (graph?.initializer ?? [])
    .filter(({ dataType }) => dataType === code)
    .reduce((sum, { rawData }) => sum + rawData.length, 0);
const [FLOAT, INT8, INT32, HALF] = [1, 3, 6, 10] as const;

beforeAll(async () => {
  const pictures = join(folder(), 'pictures');
  await drawPictures(pictures, { set: 'demo', trainPerClass: 20, valPerClass: 10, size: 48, seed: 1 });
  dataset = await ImageFolder.open(pictures, { seed: 0 });
  source = readModel(SMALL_CNN);
  learned = await learn(source, dataset, 6);
}, 60_000);

describe('a model exported in float32', () => {
  it('gives what the trained one gives, and says so in its metadata', async () => {
    const { bytes, parity } = await exported();
    expect(parity).toMatchObject({ photos: 60, agreement: 1 });
    expect(parity.largestDifference).toBeLessThan(1e-3);
    expect(parity.top1?.exported).toBe(parity.top1?.trained);
    expect(parity.bytes).toEqual({ trained: encodeTuned(source, learned).byteLength, exported: bytes.byteLength });
    const proto = decodeModel(bytes, 'exported');
    const metadata = metadataOf(proto);
    expect(JSON.parse(metadata.get('ort_tl.parity') ?? '')).toMatchObject(parity);
    expect(JSON.parse(metadata.get('labels') ?? '')).toEqual(learned.manifest.classes);
    expect(JSON.parse(metadata.get('preprocessing') ?? '')).toEqual(learned.manifest.preprocessing);
    expect(metadata.get('ort_tl.precision')).toBe('fp32');
    expect(opsetOf(proto)).toBe(opsetOf(source.proto));
  });

  it.each<readonly [string, string]>([
    ['a residual network', TINY_RESNET],
    ['inverted residuals with squeeze and excitation', TINY_MBCONV],
    ...readdirSync(ZOO)
      .filter((name) => name.endsWith('.onnx'))
      .map((name) => [name, join(ZOO, name)] as const),
  ])('has no BatchNormalization left behind a convolution, keeps its operator set, and agrees: %s', async (_, path) => {
    const model = readModel(path);
    // What is compared are the photos to validate.
    const of = await learn(model, { ...dataset, train: dataset.train.filter((_, index) => index % 5 === 0) });
    const { proto, parity } = await exported({ model, of });
    expect(parity.agreement).toBe(1);
    expect(opsetOf(proto)).toBe(opsetOf(model.proto));
    const convs = new Set(proto.graph?.node.flatMap(({ opType, output }) => (opType === 'Conv' ? output : [])));
    const norms = proto.graph?.node.filter(({ opType }) => opType === 'BatchNormalization') ?? [];
    expect(norms.filter(({ input }) => convs.has(input[0] ?? ''))).toEqual([]);
  });

  it('is written in an earlier operator set where that has all that is needed, and refused where not', async () => {
    const { proto, parity } = await exported({ opset: 11 });
    expect(opsetOf(proto)).toBe(11);
    expect(parity.agreement).toBe(1);
    const refused = { code: 'unsupported-opset' };
    await expect(exported({ precision: 'int8', opset: 12 })).rejects.toMatchObject(refused);
    await expect(exported({ bakesPreprocessing: true, opset: 17 })).rejects.toMatchObject(refused);
    await expect(exported({ opset: 99 })).rejects.toMatchObject(refused);
  });

  it('gives probabilities, and takes so many images as it is told', async () => {
    const { bytes, proto, parity } = await exported({ softmax: true, batch: 2 });
    expect(parity.agreement).toBe(1);
    expect(parity.largestDifference).toBeLessThan(1e-3);
    const { inputs, outputs } = graphOfModel(proto);
    expect(proto.graph?.input[0]?.type?.tensorType?.shape?.dim[0]?.value.value).toBe(2n);
    const session = await ort.InferenceSession.create(bytes);
    const dims = bindShape(inputs[0]?.shape ?? [], 2);
    const image = new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(0.5);
    const results = await session.run({ [inputs[0]?.name ?? '']: new ort.Tensor('float32', image, dims) });
    const shares = Array.from(results[outputs[0]?.name ?? '']?.data as Float32Array);
    expect(shares).toHaveLength(12);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(2, 5);
    await session.release();
  });

  it('is also had in the format of ONNX Runtime', async () => {
    const { bytes, parity } = await exported({ format: 'ort' });
    expect(Buffer.from(bytes.subarray(4, 8)).toString()).toBe('ORTM');
    expect(Buffer.from(bytes).includes('"agreement":1')).toBe(true);
    expect(parity).toMatchObject({ agreement: 1, bytes: { exported: bytes.byteLength } });
  });
});

describe('a model that prepares photos by itself', () => {
  it.each(['crop', 'squash'] as const)('gives what it gives of prepared ones: %s', async (resize) => {
    const of = {
      ...learned,
      manifest: { ...learned.manifest, preprocessing: { ...learned.manifest.preprocessing, resize } },
    };
    const { proto, bytes, parity } = await exported({ bakesPreprocessing: true, of });
    expect(parity.agreement).toBeGreaterThan(0.98);
    const [image] = proto.graph?.input ?? [];
    expect(image?.type?.tensorType?.elemType).toBe(2);
    expect(image?.type?.tensorType?.shape?.dim.map(({ value }) => value.value)).toEqual(['N', 'height', 'width', 3n]);

    const large = join(folder(), 'large');
    await drawPictures(large, { set: 'demo', trainPerClass: 1, valPerClass: 1, size: 151, seed: 7 });
    const [photo] = (await ImageFolder.open(large, {})).train;
    if (!photo) throw new Error('unreachable');
    const classifier = await ImageClassifier.load(proto, bytes, { name: 'exported' });
    const { pixels, width, height } = await decodeWhole(photo);
    // Not square, so that something is cut away.
    const rows = 97;
    const part = { pixels: pixels.subarray(0, rows * width * 3), width, height: rows };
    expect(height).toBe(151);
    const scores = await classifier.run(part.pixels, 1, part);
    const { default: sharp } = await import('sharp');
    const png = await sharp(part.pixels, { raw: { width, height: rows, channels: 3 } })
      .png()
      .toBuffer();
    const file = join(folder(), 'part.png');
    writeFileSync(file, png);
    const prepared = await decodePhoto({ path: file }, of.manifest.preprocessing);
    const expected = await classifier.run(prepared, 1);
    expect(Math.max(...scores.map((score, index) => Math.abs(score - (expected[index] ?? NaN))))).toBeLessThan(0.25);
    await classifier.close();
  });
});

describe('a model exported in float16', () => {
  it('is half as large, agrees, and takes and gives float32', async () => {
    const { bytes, proto, parity } = await exported({ precision: 'fp16' });
    expect(parity.agreement).toBeGreaterThanOrEqual(0.995);
    expect(bytes.byteLength).toBeLessThan(0.52 * parity.bytes.trained);
    expect(bytesOf(proto, HALF)).toBeGreaterThan(50 * bytesOf(proto, FLOAT));
    expect(graphOfModel(proto).inputs[0]?.dtype).toBe('float32');
    expect(proto.graph?.output[0]?.type?.tensorType?.elemType).toBe(FLOAT);
  });

  it('computes what may overflow in float32', async () => {
    const model = readModel(TINY_MBCONV);
    const { proto, parity } = await exported({ model, of: await learn(model, dataset), precision: 'fp16' });
    expect(parity.agreement).toBeGreaterThanOrEqual(0.95);
    const casts = new Map(
      proto.graph?.node.flatMap((node) => (node.opType === 'Cast' ? [[node.output[0], node]] : [])),
    );
    const means = proto.graph?.node.filter(({ opType }) => opType === 'ReduceMean') ?? [];
    expect(means.length).toBeGreaterThan(0);
    for (const { input } of means) expect(Number(casts.get(input[0])?.attribute[0]?.i)).toBe(FLOAT);
  });

  // IEEE 754: sign, 5 bits of exponent with origin 15, 10 bits of mantissa.
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [0.333251953125, 0x3555],
    [65504, 0x7bff],
    [1e6, 0x7bff],
    [-1e6, 0xfbff],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -26, 0x0000],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2 - 2 ** -12, 0x4000],
  ])('rounds %d to 0x%s', (number, bits) => {
    expect(halfBits(number)).toBe(bits);
  });
});

describe('a model exported in int8', () => {
  let first: Promise<ExportedModel> | undefined;
  /** As it is by default: exported once, and looked at. */
  const plain = () => (first ??= exported({ precision: 'int8' }));

  it.each(['min-max', 'percentile', 'entropy'] as const)('agrees nearly always: %s', async (method) => {
    const { bytes, proto, parity, calibration } = await exported({ precision: 'int8', calibration: { method } });
    expect(calibration).toMatchObject({ method, photos: 120 });
    expect(parity.agreement).toBeGreaterThan(0.9);
    expect(bytes.byteLength).toBeLessThan(0.26 * parity.bytes.trained);
    expect(bytesOf(proto, INT8)).toBeGreaterThan(20 * bytesOf(proto, FLOAT));
    expect(JSON.parse(metadataOf(proto).get('ort_tl.parity') ?? '')).toMatchObject({ calibration });
  });

  it('computes the first and the last layer in float where it is told so, their weights bytes all the same', async () => {
    const [whole, kept] = [await plain(), await exported({ precision: 'int8', keepFloat: ['first', 'last'] })];
    const quantizes = ({ proto }: ExportedModel) => opsOf(proto).filter((op) => op === 'QuantizeLinear').length;
    expect(quantizes(kept)).toBeLessThan(quantizes(whole));
    expect(bytesOf(kept.proto, INT8)).toBe(bytesOf(whole.proto, INT8));
    const written = new Map(kept.proto.graph?.node.flatMap((node) => node.output.map((name) => [name, node.opType])));
    const layers = kept.proto.graph?.node.filter(({ opType }) => opType === 'Conv' || opType === 'Gemm') ?? [];
    expect(layers.map(({ input }) => written.get(input[1] ?? ''))).toEqual(layers.map(() => 'DequantizeLinear'));
    expect(kept.parity.agreement).toBeGreaterThan(0.9);
  });

  it('holds scales and biases in half, and so many zeros once; what flows within has short names', async () => {
    const { proto } = await plain();
    const vectors = proto.graph?.initializer.filter(({ dims }) => dims.length === 1 && (dims[0] ?? 0n) >= 32n) ?? [];
    const float = vectors.filter(({ dataType }) => dataType !== INT8);
    expect(float.length).toBeGreaterThan(0);
    expect(float.map(({ dataType }) => dataType)).toEqual(float.map(() => HALF));
    const zeros = vectors.filter(({ dataType }) => dataType === INT8).map(({ dims }) => dims[0]);
    expect(new Set(zeros).size).toBe(zeros.length);
    const names = proto.graph?.node.flatMap(({ output }) => output) ?? [];
    const [result] = proto.graph?.output ?? [];
    expect(names.filter((name) => name.length > 3)).toEqual([result?.name]);
    expect(new Set(names).size).toBe(names.length);
    const layers = proto.graph?.node.filter(({ opType }) => opType === 'Conv') ?? [];
    expect(layers.every(({ name }) => name !== '')).toBe(true);
  });

  it('is computed in whole numbers: ONNX Runtime finds layers with their biases, once it has widened them', async () => {
    const { bytes } = await plain();
    const path = join(folder(), 'optimized.onnx');
    const session = await ort.InferenceSession.create(bytes, {
      graphOptimizationLevel: 'extended',
      optimizedModelFilePath: path,
      logSeverityLevel: 4,
    });
    await session.release();
    const { proto } = readModel(path);
    const ops = opsOf(proto);
    expect(ops.filter((op) => ['Conv', 'Gemm', 'Cast'].includes(op))).toEqual([]);
    const layers = proto.graph?.node.filter(({ opType }) => opType === 'QLinearConv' || opType === 'QGemm') ?? [];
    const dtypes = new Map(proto.graph?.initializer.map(({ name, dataType }) => [name, dataType]));
    expect(layers.length).toBeGreaterThan(0);
    // A bias is the ninth input of a QLinearConv and the seventh of a QGemm.
    expect(layers.map(({ opType, input }) => dtypes.get(input[opType === 'QGemm' ? 6 : 8] ?? ''))).toEqual(
      layers.map(() => INT32),
    );
  });

  it('is calibrated on photos of a folder, and refuses one without any', async () => {
    const { calibration } = await exported({ precision: 'int8', calibrationData: join(dataset.folder, 'val') });
    expect(calibration?.photos).toBe(60);
    const empty = join(folder(), 'empty');
    mkdirSync(empty);
    await expect(exported({ precision: 'int8', calibrationData: empty })).rejects.toMatchObject({ code: 'no-photos' });
  });
});

const real = [
  ['small CNN on CIFAR-10', SMALL_CNN, CIFAR_10],
  ['EfficientNet-B0 on scenes', EFFICIENTNET_B0, INTEL],
] as const;
describe.skipIf(!real.every(([, model, data]) => existsSync(model) && existsSync(data)))('on real photos', () => {
  it.each(real)(
    'int8 stays within a point of float32 at a quarter of the size: %s',
    async (_, path, data) => {
      const photos = await openDataset(data, { limit: 8, valLimit: 40 });
      const model = readModel(path);
      const of = await learn(model, photos, 3);
      const options = { model, of, dataset: photos, verify: 200, threads: 0 };
      const half = await exported({ ...options, precision: 'fp16' });
      expect(half.parity.agreement).toBeGreaterThanOrEqual(0.98);
      const { parity } = await exported({ ...options, precision: 'int8', calibration: { photos: 64 } });
      // A point, and what 200 photos leave uncertain.
      expect(parity.top1?.exported).toBeGreaterThan((parity.top1?.trained ?? NaN) - 0.025);
      expect(parity.bytes.exported).toBeLessThan(0.255 * parity.bytes.trained);
    },
    180_000,
  );
});
