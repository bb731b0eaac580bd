import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone } from '@bufbuild/protobuf';
import * as ort from 'onnxruntime-node';
import { compile } from '../../../src/artifacts/compile.js';
import { inspect } from '../../../src/artifacts/inspectModel.js';
import { tunedModel } from '../../../src/artifacts/tunedModel.js';
import { UserError } from '../../../src/errors.js';
import { decodeModel, encodeModel } from '../../../src/onnx/model.js';
import { type ModelProto, ModelProtoSchema } from '../../../src/onnx/onnx_pb.js';
import { allNodes } from '../../../src/onnx/tensorsOf.js';
import { ImageClassifier } from '../../../src/runtime/classifier.js';
import { CompiledParts } from '../../../src/runtime/compiledParts.js';
import type { Random } from '../../../src/random.js';
import { BYTES, ODDITIES } from './oddities.js';
import { CLASSES, IMAGE, LOGITS, SIDE, soundModel } from './sound.js';

const folder = mkdtempSync(join(tmpdir(), 'ort-tl-odd-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const POLICIES = ['F1C0', 'F1C1', 'FxC2', 'blocks:1', 'bias', 'full'] as const;
const IMAGES = 3;
const [MEAN, STD] = [0.4, 0.5];
/** By how much of the largest logit others may differ. */
const TOLERANCE = 2e-4;
const MOST_ODDITIES = 5;
/** How often a model is inspected too. */
const INSPECTED = 0.1;
/** What is only said of a model that is damaged, or where a check at compile time has found another function. */
const WRONG_REFUSALS: ReadonlySet<string> = new Set([
  'bad-model',
  'other-function',
  'not-onnx',
  'cyclic-graph',
  'not-loadable',
]);
/** Where the file itself computes something else than what it was made of, or ONNX Runtime does not load it. */
const CHANGING = /training mode|Quantize|with the same|float16|float64|operator set 7/;

export interface OddResult {
  /** `same`, the code of a UserError, or undefined where something is wrong. */
  readonly outcome: string | undefined;
  readonly message: string;
  readonly changes: readonly string[];
}

/**
 * Makes a sound classifier odd in some ways, and holds what becomes of it against what the sound one gives: the compiled parts together, the
 * exported model, and, so that this test is right, the odd file itself.
 */
export async function oddCase(random: Random): Promise<OddResult> {
  const { model: sound, channels } = soundModel(random);
  const odd = clone(ModelProtoSchema, sound);
  const changes = applySome(odd, random);
  const policy = random.pick(POLICIES);
  const images: Images = {
    pixels: randomPixels(random, channels),
    channels,
    areBytes: changes.includes('an image of bytes'),
    areLast: changes.includes('an image whose channels are last'),
    areAlone: changes.includes('an image without a batch'),
  };
  const told = [...changes, policy];
  try {
    const logits = await run(sound, feedsOf({ ...images, areLast: false, areAlone: false }, 'float32'));
    const wrong = await whatIsWrong(odd, { logits, images, policy, changes, inspects: random.next() < INSPECTED });
    return { outcome: wrong === undefined ? 'same' : undefined, message: wrong ?? '', changes: told };
  } catch (thrown) {
    if (thrown instanceof UserError && !WRONG_REFUSALS.has(thrown.code))
      return { outcome: thrown.code, message: thrown.message, changes: told };
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return { outcome: undefined, message, changes: told };
  }
}

/** Applies some oddities, in their order, and gives the names of those that had a place. */
function applySome(model: ModelProto, random: Random): string[] {
  const { graph } = model;
  if (!graph) throw new Error('no graph');
  const names = new Set([
    ...graph.node.flatMap(({ name, output }) => [name, ...output]),
    ...[...graph.initializer, ...graph.input].map(({ name }) => name),
  ]);
  const fresh = (base: string): string => {
    let name = base;
    for (let count = 1; names.has(name); count++) name = `${base}_${count}`;
    names.add(name);
    return name;
  };
  const count = 1 + random.integer(MOST_ODDITIES);
  const chosen = new Set(random.shuffle([...ODDITIES]).slice(0, count));
  const applied: string[] = [];
  for (const oddity of ODDITIES)
    if (chosen.has(oddity) && !oddity.apart?.some((other) => applied.includes(other)))
      if (oddity.apply({ model, graph, random, fresh })) applied.push(oddity.name);
  return applied;
}

interface Images {
  /** uint8 RGB [{@link IMAGES}, {@link SIDE}, {@link SIDE}, 3]. */
  readonly pixels: Uint8Array;
  readonly channels: 1 | 3;
  readonly areBytes: boolean;
  readonly areLast: boolean;
  readonly areAlone: boolean;
}

interface Given {
  /** Of the sound model, [{@link IMAGES}, classes]. */
  readonly logits: readonly number[];
  readonly images: Images;
  readonly policy: string;
  readonly changes: readonly string[];
  readonly inspects: boolean;
}

/** What is another function than it should be; undefined for nothing. @throws UserError for a model that is refused. */
async function whatIsWrong(
  odd: ModelProto,
  { logits, images, changes, policy, inspects }: Given,
): Promise<string | undefined> {
  const writer = odd.graph?.node.find(({ output }) => output[0] === LOGITS);
  const called = odd.functions.find(({ name, domain }) => name === writer?.opType && domain === writer.domain);
  const last = called?.node[0]?.opType ?? writer?.opType;
  const scores =
    last === 'Softmax' ? logShares(logits).map(Math.exp) : last === 'LogSoftmax' ? logShares(logits) : logits;
  if (!changes.some((name) => CHANGING.test(name))) {
    const own = await run(odd, feedsOf(images, images.areBytes ? 'uint8' : 'float32'));
    if (!isSame(own, scores)) return `the file itself differs by ${difference(own, scores)}: this test is wrong`;
  }
  const opened = await whatIsWrongOpened(odd, { logits, images });
  if (opened !== undefined) return opened;
  const file = { path: 'odd.onnx', sha256: 'none', proto: decodeModel(encodeModel(odd), 'odd.onnx') };
  const settings = {
    ...{ policy, batch: IMAGES, size: SIDE },
    ...(images.areBytes ? {} : { preprocessing: `mean=${MEAN},std=${STD}` }),
  };
  if (inspects) inspect(file, settings);
  const compiled = compile(file, { ...settings, classes: [...CLASSES] });
  const parts = await CompiledParts.open(compiled, 1);
  try {
    for (const count of [1, IMAGES]) {
      const given = [...(await parts.logits(images.pixels.slice(0, count * SIDE * SIDE * 3), count))];
      const right = logits.slice(0, count * CLASSES.length);
      if (!isSame(given, right)) return `the compiled parts differ by ${difference(given, right)} on ${count}`;
    }
  } finally {
    await parts.close();
  }
  const exported = tunedModel(file.proto, compiled.manifest, compiled.state);
  const classifier = await ImageClassifier.load(exported, encodeModel(exported), { threads: 1, name: 'exported' });
  try {
    const given = [...(await classifier.run(images.pixels, IMAGES))];
    const right = classifier.ending === 'softmax' || classifier.ending === 'logSoftmax' ? logShares(logits) : logits;
    if (!isSame(given, right)) return `the exported model differs by ${difference(given, right)}`;
  } finally {
    await classifier.close();
  }
  return undefined;
}

/** What is another function when the file is opened to predict with, as it is; undefined for nothing. @throws UserError where it is refused. */
async function whatIsWrongOpened(
  odd: ModelProto,
  { logits, images }: Pick<Given, 'logits' | 'images'>,
): Promise<string | undefined> {
  const path = join(folder, 'odd.onnx');
  writeFileSync(path, encodeModel(odd));
  const known = { labels: CLASSES, ...(images.areBytes ? {} : { preprocessing: `mean=${MEAN},std=${STD}` }) };
  const classifier = await ImageClassifier.open(path, 1, known);
  try {
    // Of open sizes it takes a usual one; whole numbers stay, and ONNX Runtime rounds what meets them.
    const nodes = [...(odd.graph?.node ?? []), ...odd.functions.flatMap(({ node }) => node)];
    const isQuantized = [...allNodes(nodes)].some(({ opType }) => opType === 'DequantizeLinear');
    if (classifier.preprocessing.width !== SIDE || isQuantized) return undefined;
    const given = [...(await classifier.run(images.pixels, IMAGES))];
    const right = classifier.ending === 'softmax' || classifier.ending === 'logSoftmax' ? logShares(logits) : logits;
    return isSame(given, right) ? undefined : `the opened file differs by ${difference(given, right)}`;
  } finally {
    await classifier.close();
  }
}

/** The scores that ONNX Runtime gives for one image after another. */
async function run(model: ModelProto, feeds: readonly ort.Tensor[]): Promise<number[]> {
  const session = await ort.InferenceSession.create(encodeModel(model), {
    ...{ logSeverityLevel: 4, intraOpNumThreads: 1 },
    // Optimized, it may take whole numbers for weights that were stored so.
    graphOptimizationLevel: 'disabled',
  });
  try {
    const unread = session.inputNames.filter((name) => name.startsWith('unread'));
    const others = Object.fromEntries(unread.map((name) => [name, new ort.Tensor('int64', BigInt64Array.of(0n), [])]));
    const rows: number[] = [];
    for (const image of feeds) {
      const results = await session.run({ [IMAGE]: image, ...others }, [LOGITS]);
      rows.push(...(results[LOGITS]?.data as Float32Array));
    }
    return rows;
  } finally {
    await session.release();
  }
}

function randomPixels(random: Random, channels: number): Uint8Array {
  const count = IMAGES * SIDE * SIDE;
  return Uint8Array.from(
    Array.from({ length: count }, () => {
      const colour = [random.integer(256), random.integer(256), random.integer(256)];
      // Of a grey picture, every formula gives the same.
      return channels === 1 ? [colour[0], colour[0], colour[0]] : colour;
    }).flatMap((colour) => colour.map((each) => each ?? 0)),
  );
}

/** A tensor for each image, as the model takes it. */
function feedsOf({ pixels, channels, areBytes, areLast, areAlone }: Images, dtype: 'float32' | 'uint8'): ort.Tensor[] {
  const area = SIDE * SIDE;
  const number = (byte: number) => (areBytes ? byte * BYTES.scale + BYTES.shift : (byte / 255 - MEAN) / STD);
  return Array.from({ length: IMAGES }, (_, image) => {
    const numbers = Array.from({ length: channels * area }, (_each, at) => {
      const [channel, pixel] = areLast
        ? [at % channels, Math.floor(at / channels)]
        : [Math.floor(at / area), at % area];
      const byte = pixels[(image * area + pixel) * 3 + channel] ?? 0;
      return dtype === 'uint8' ? byte : number(byte);
    });
    const dims = [...(areAlone ? [] : [1]), ...(areLast ? [SIDE, SIDE, channels] : [channels, SIDE, SIDE])];
    return dtype === 'uint8'
      ? new ort.Tensor('uint8', Uint8Array.from(numbers), dims)
      : new ort.Tensor('float32', Float32Array.from(numbers), dims);
  });
}

/** The logarithms of the shares of softmax. */
function logShares(logits: readonly number[]): number[] {
  return logits.map((logit, at) => {
    const first = at - (at % CLASSES.length);
    const row = logits.slice(first, first + CLASSES.length);
    const largest = Math.max(...row);
    return logit - largest - Math.log(row.reduce((sum, each) => sum + Math.exp(each - largest), 0));
  });
}

function difference(given: readonly number[], right: readonly number[]): number {
  return right.reduce((most, each, at) => Math.max(most, Math.abs(each - (given[at] ?? NaN))), 0);
}

function isSame(given: readonly number[], right: readonly number[]): boolean {
  const scale = right.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-3);
  return (
    given.length === right.length && right.every((each, at) => Math.abs(each - (given[at] ?? NaN)) <= TOLERANCE * scale)
  );
}
