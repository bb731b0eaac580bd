import { UserError } from '../errors.js';
import type { ModelProto, ValueInfoProto } from '../onnx/onnx_pb.js';
import { dtypeName } from '../onnx/tensor.js';
import type { Draft } from './draft.js';
import { givenInputs, readersOf } from './nodes.js';

/** What pixels come as: float32, uint8, float16, float64 and bfloat16 (`TensorProto.DataType`); 0 where the file does not say it. */
const PIXELS: ReadonlySet<number> = new Set([0, 1, 2, 10, 11, 16]);

/**
 * Looks whether a model maps images to classes, as far as it says what it takes and gives: text, sound, boxes and masks are other things.
 * @throws UserError `unsupported-input` where it takes no image in colour or grey, `not-loadable` where it gives no row of scores.
 */
export function checkImageModel(proto: ModelProto, name: string): void {
  checkImageShape(proto, name);
  const input = inputOf(proto);
  if (input && !PIXELS.has(elementTypeOf(input))) throw noImage([input], name);
  const outputs = proto.graph?.output ?? [];
  const [first] = outputs;
  const ranks = outputs.map((each) => dimsOf(each)?.length);
  if (first && ranks.every((rank) => rank !== undefined && rank !== 2))
    throw new UserError(
      'not-loadable',
      `${name} gives no classes: its output "${first.name}" is ${shown(first)}; take a model that gives one row of scores for each photo, [N, classes]`,
    );
}

/** @throws UserError `unsupported-input` where nothing that a model takes has the shape of images: text and sound are other things. */
export function refuseNoImages({ graph, path }: Draft): void {
  const inputs = givenInputs(graph);
  const readers = readersOf(graph);
  const isAlone = inputs.filter(({ name }) => readers.has(name)).length === 1;
  const isImage = (input: ValueInfoProto) => hasImageShape(input) || couldLackBatch(input, isAlone);
  if (inputs.length > 0 && !inputs.some(isImage)) throw noImage(inputs, path);
}

/** @throws UserError `unsupported-input` where what the model takes has not the shape of images in colour or grey. */
export function checkImageShape(proto: ModelProto, name: string): void {
  const input = inputOf(proto);
  if (input && !hasImageShape(input)) throw noImage([input], name);
}

function hasImageShape(input: ValueInfoProto): boolean {
  const dims = dimsOf(input);
  const couldBeColours = (dim: number | string | undefined) => typeof dim !== 'number' || dim === 3 || dim === 1;
  return !dims || (dims.length === 4 && (couldBeColours(dims[1]) || couldBeColours(dims[3])));
}

/** Whether an input could be one image without a batch: beside others only where it states three colours, as a state of [1, N, D] does not. */
function couldLackBatch(input: ValueInfoProto, isAlone: boolean): boolean {
  const dims = dimsOf(input);
  return dims?.length === 3 && (isAlone || dims[0] === 3 || dims[2] === 3);
}

const inputOf = ({ graph }: ModelProto): ValueInfoProto | undefined => graph && givenInputs(graph)[0];

/** How many inputs a message tells of. */
const MOST = 4;

function noImage(inputs: readonly ValueInfoProto[], name: string): UserError {
  const told = inputs.slice(0, MOST).map((input) => `"${input.name}" is ${shown(input)}`);
  if (inputs.length > MOST) told.push(`and ${inputs.length - MOST} more`);
  return new UserError(
    'unsupported-input',
    `${name} takes no images in colour or grey: its input ${told.join(', ')}; take a model of photos, [N, 3, H, W], [N, 1, H, W], or with the channels last`,
  );
}

const elementTypeOf = ({ type }: ValueInfoProto): number => type?.tensorType?.elemType ?? 0;

/** Sizes, or what the file calls those that it leaves open; undefined where it does not say how many there are. */
function dimsOf({ type }: ValueInfoProto): (number | string)[] | undefined {
  return type?.tensorType?.shape?.dim.map(({ value: dim }) =>
    dim.case === 'dimValue' ? Number(dim.value) : (dim.value ?? '') || '?',
  );
}

function shown(value: ValueInfoProto): string {
  const dims = dimsOf(value);
  return `${dtypeName(elementTypeOf(value))}${dims ? ` [${dims.join(', ')}]` : ''}`;
}
