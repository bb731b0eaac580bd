import { int, ints, text, type Value } from '../graph/graph.js';
import { dtypeCode, tensor } from '../onnx/tensor.js';
import type { NodeList } from './nodeList.js';

/** Positions between two pixels, and steps of a weight, that libvips tells apart (VIPS_TRANSFORM_SCALE and VIPS_INTERPOLATE_SCALE). */
const POSITIONS = 64;
const STEPS = 4096;
/** libvips averages whole pixels first where a side shrinks to less than a half of so many pixels (the `gap` of vips_resize). */
const GAP = 2;
/** It divides by the number of averaged pixels with so many binary digits (shrinkv.c). */
const DIVISION = 2 ** 24;

/** One side of pixels [N, 3, H, W]: what it is scaled to, and the first of the pixels that are wanted of that, int64 without dimensions. */
export interface ScaledSide {
  readonly axis: 2 | 3;
  readonly scaled: Value;
  readonly first: Value;
  /** Pixels that are wanted. */
  readonly count: number;
}

/**
 * Appends what makes a side of `pixels`, whole numbers as float32 [N, 3, H, W], as long as it is to be, in the arithmetic of `decodePixels`:
 * where the side shrinks, that of libvips' linear kernel, but for a level of single pixels where the last digit of a number decides;
 * where it grows, that of `enlarge`, which rounds when both sides are done.
 */
export function resizeSide(g: NodeList, pixels: Value, { axis, scaled, first, count }: ScaledSide): Value {
  const length = g.op('Squeeze', [g.op('Shape', [pixels], { start: int(axis), end: int(axis + 1) })]);
  const shrinks = g.op('Not', [g.op('Less', [length, scaled])]);
  const one = g.wholeScalar(1);
  const block = g.op('Max', [one, g.op('Div', [length, g.op('Mul', [scaled, g.wholeScalar(GAP)])])]);
  const blocks = g.op('Div', [g.op('Add', [length, g.op('Sub', [block, one])]), block]);
  const averaged = averageBlocks(g, pixels, axis, { length, shrinks, block, blocks });
  // How many pixels become one, in double precision.
  const shrink = g.op('Div', [asDouble(g, length), asDouble(g, g.op('Mul', [scaled, block]))]);
  const rim = g.op('Add', [g.op('Div', [length, g.op('Mul', [scaled, block])]), g.wholeScalar(2)]);
  const wide = padSide(g, averaged, axis, rim, rim);
  const weights = weightsOf(g, { shrink, shrinks, rim, blocks, first, count });
  const resized =
    axis === 2
      ? g.op('MatMul', [weights, wide])
      : g.op('MatMul', [wide, g.op('Transpose', [weights], { perm: ints([1, 0]) })]);
  return g.op('Where', [shrinks, roundHalfUp(g, resized), resized]);
}

/** Rounds to whole numbers, a half upwards, as decoders do. */
export function roundHalfUp(g: NodeList, value: Value): Value {
  return g.op('Floor', [g.op('Add', [value, g.float([], [0.5])])]);
}

interface Blocks {
  readonly length: Value;
  readonly shrinks: Value;
  /** Pixels that become one; 1 leaves all as they are. */
  readonly block: Value;
  readonly blocks: Value;
}

/** The mean of each block of pixels, rounded as libvips' shrink does it; the last block is filled up with the rim. */
function averageBlocks(g: NodeList, pixels: Value, axis: 2 | 3, { length, shrinks, block, blocks }: Blocks): Value {
  const missing = g.op('Sub', [g.op('Mul', [block, blocks]), length]);
  const filled = padSide(g, pixels, axis, g.wholeScalar(0), missing);
  const kept = g.whole(...Array.from({ length: axis }, () => 0));
  const shape = [kept, listOf(g, blocks), listOf(g, block), ...(axis === 2 ? [g.whole(-1)] : [])];
  const split = g.op('Reshape', [filled, g.op('Concat', shape, { axis: int(0) })]);
  const sum = g.op('ReduceSum', [split, g.whole(axis + 1)], { keepdims: int(0) });
  const half = g.op('Cast', [g.op('Div', [block, g.wholeScalar(2)])], { to: int(dtypeCode('float32')) });
  const factor = g.op('Div', [asDouble(g, g.op('Div', [g.wholeScalar(DIVISION), block])), g.double(DIVISION)]);
  const mean = g.op('Floor', [g.op('Mul', [asDouble(g, g.op('Add', [sum, half])), factor])]);
  // Of a side that grows, what comes of the other one may not be whole numbers yet.
  return g.op('Where', [shrinks, g.op('Cast', [mean], { to: int(dtypeCode('float32')) }), sum]);
}

/** Repeats the rim of a side: `before` and `after` pixels, int64 without dimensions. */
function padSide(g: NodeList, pixels: Value, axis: 2 | 3, before: Value, after: Value): Value {
  const none = g.whole(...Array.from({ length: axis }, () => 0));
  const rest = axis === 2 ? [g.whole(0)] : [];
  const pads = [none, listOf(g, before), ...rest, none, listOf(g, after), ...rest];
  return g.op('Pad', [pixels, g.op('Concat', pads, { axis: int(0) })], { mode: text('edge') });
}

interface Weighed {
  readonly shrink: Value;
  readonly shrinks: Value;
  readonly rim: Value;
  readonly blocks: Value;
  readonly first: Value;
  readonly count: number;
}

/** How much each pixel of a padded side has of each wanted one, float32 [count, pixels]. */
function weightsOf(g: NodeList, { shrink, shrinks, rim, blocks, first, count }: Weighed): Value {
  const steps = g.constant(
    tensor(
      'float64',
      [count, 1],
      Float64Array.from({ length: count }, (_, at) => at + 0.5),
    ),
  );
  const centre = g.op('Mul', [g.op('Add', [steps, asDouble(g, first)]), shrink]);
  const twice = g.op('Floor', [g.op('Mul', [centre, g.double(2 * POSITIONS)])]);
  const position = g.op('Floor', [g.op('Mul', [g.op('Add', [twice, g.double(1)]), g.double(0.5)])]);
  const rounded = g.op('Mul', [position, g.double(1 / POSITIONS)]);
  const middle = g.op('Sub', [g.op('Where', [shrinks, rounded, centre]), g.double(0.5)]);
  const from = g.op('Neg', [rim]);
  const places = asDouble(g, g.op('Range', [from, g.op('Add', [blocks, rim]), g.wholeScalar(1)]));
  const width = g.op('Max', [shrink, g.double(1)]);
  const distance = g.op('Div', [g.op('Abs', [g.op('Sub', [places, middle])]), width]);
  const triangle = g.op('Max', [g.op('Sub', [g.double(1), distance]), g.double(0)]);
  // Added up from the first to the last, as libvips does it: one digit decides what a weight is cut to.
  const sum = g.op('Gather', [g.op('CumSum', [triangle, g.wholeScalar(1)]), g.whole(-1)], { axis: int(1) });
  const share = g.op('Div', [triangle, sum]);
  const cut = g.op('Floor', [g.op('Mul', [share, g.double(STEPS)])]);
  const stepped = g.op('Mul', [cut, g.double(1 / STEPS)]);
  return g.op('Cast', [g.op('Where', [shrinks, stepped, share])], { to: int(dtypeCode('float32')) });
}

/** A number as a list of one. */
function listOf(g: NodeList, number: Value): Value {
  return g.op('Unsqueeze', [number, g.whole(0)]);
}

function asDouble(g: NodeList, value: Value): Value {
  return g.op('Cast', [value], { to: int(dtypeCode('float64')) });
}
