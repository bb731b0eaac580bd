import type { Compiled } from '../artifacts/compile.js';
import { tunedModel } from '../artifacts/tunedModel.js';
import { UserError } from '../errors.js';
import { allFinite } from '../finite.js';
import { encodeModel, type ModelFile } from '../onnx/model.js';
import type { ModelProto } from '../onnx/onnx_pb.js';
import { Random } from '../random.js';
import { ImageClassifier } from '../runtime/classifier.js';
import { CompiledParts } from '../runtime/compiledParts.js';
import { type Agreement, LogitComparison, TOLERANCES } from './agreement.js';

/** Images that are run together; a model that mixes them shows it on two. */
const IMAGES = 2;
/** Pixels a side of the squares of one colour that the images are made of. */
const SQUARE = 8;

/**
 * Holds the compiled parts against the source model with the same fresh head, in a plain session, as it will be exported: on seeded images,
 * one by one and several at once.
 * @throws UserError `other-function` where logits differ by more than rounding explains.
 */
export async function checkFunction(model: ModelFile, compiled: Compiled, threads: number): Promise<void> {
  const { manifest, state } = compiled;
  const { height, width } = manifest.preprocessing;
  const pixels = seededImages(height, width);
  const each = height * width * 3;
  const exported = tunedModel(model.proto, manifest, state);
  const expected = await resultsOf(exported, model.path, pixels, threads);
  // What ONNX Runtime does not load, whoever trains is told; what gives no numbers on such images cannot be compared on them.
  if (!expected || !allFinite(expected.logits)) return;
  const parts = await CompiledParts.open(compiled, threads);
  try {
    const together = compare(expected, await parts.logits(pixels, IMAGES), manifest);
    if (!together.ok) throw otherFunction(model.path, together, `${IMAGES} images at once`);
    const alone = compare(expected, await parts.logits(pixels.slice(0, each), 1), manifest);
    if (!alone.ok) throw otherFunction(model.path, alone, 'one image');
  } finally {
    await parts.close();
  }
}

interface Expected {
  /** [{@link IMAGES}, classes]. */
  readonly logits: Float32Array;
  /** See {@link ImageClassifier.ending}. */
  readonly ending: ImageClassifier['ending'];
}

/** What the exported model gives of each image by itself; undefined where ONNX Runtime does not load it. */
async function resultsOf(
  exported: ModelProto,
  name: string,
  pixels: Uint8Array,
  threads: number,
): Promise<Expected | undefined> {
  const loading = ImageClassifier.load(exported, encodeModel(exported), { threads, name });
  const classifier = await loading.catch((thrown: unknown) => {
    if (thrown instanceof UserError && thrown.code === 'not-loadable') return undefined;
    throw thrown;
  });
  if (!classifier) return undefined;
  const each = pixels.length / IMAGES;
  try {
    const rows: Float32Array[] = [];
    for (let image = 0; image < IMAGES; image++)
      rows.push(await classifier.run(pixels.slice(image * each, (image + 1) * each), 1));
    return { logits: Float32Array.from(rows.flatMap((row) => [...row])), ending: classifier.ending };
  } finally {
    await classifier.close();
  }
}

/** Compares as many rows as there are `given`. */
function compare({ logits, ending }: Expected, given: Float32Array, manifest: Compiled['manifest']): Agreement {
  const classes = manifest.classes.length;
  const comparison = new LogitComparison({ ending });
  for (let at = 0; at < given.length; at += classes)
    comparison.add(logits.slice(at, at + classes), given.slice(at, at + classes));
  const isHalf = manifest.boundary.some(({ dtype }) => dtype === 'float16');
  return comparison.result(isHalf ? TOLERANCES.float16 : TOLERANCES.float32);
}

function otherFunction(path: string, { largestDifference, scale }: Agreement, of: string): UserError {
  const share = largestDifference === null ? 'no numbers' : `${((100 * largestDifference) / scale).toPrecision(2)} %`;
  return new UserError(
    'other-function',
    `what was compiled of ${path} is not the same function: on ${of} its logits differ by ${share} of the largest; the model does what ort-tl does not follow, such as statistics over a whole batch: export it in inference mode with a free batch, or report it`,
  );
}

/** Squares of seeded colours, uint8 RGB [{@link IMAGES}, height, width, 3]. */
function seededImages(height: number, width: number): Uint8Array {
  const random = new Random(0).fork('function check');
  const columns = Math.ceil(width / SQUARE);
  const squares = Uint8Array.from({ length: IMAGES * Math.ceil(height / SQUARE) * columns * 3 }, () =>
    random.integer(256),
  );
  const pixels = new Uint8Array(IMAGES * height * width * 3);
  for (let row = 0; row < IMAGES * height; row++) {
    const image = Math.floor(row / height);
    const line = image * Math.ceil(height / SQUARE) + Math.floor((row % height) / SQUARE);
    for (let column = 0; column < width; column++) {
      const square = (line * columns + Math.floor(column / SQUARE)) * 3;
      pixels.set(squares.subarray(square, square + 3), (row * width + column) * 3);
    }
  }
  return pixels;
}
