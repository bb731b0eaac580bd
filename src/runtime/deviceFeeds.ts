import { type Manifest, STEP_INPUTS } from '../artifacts/manifest.js';
import { numbersOfStep, UPDATE_INPUTS } from '../artifacts/stepModel.js';
import { boundaryTensors } from './boundaryTensors.js';
import * as ort from './ort.js';
import { newRow, type Row } from './slots.js';
import type { StepPart } from './stepSession.js';

/**
 * What a run takes of parts of batches beside the state, by the names of a step's inputs. Where it `stacks` them, each tensor has a row for
 * each part; else there is one part.
 */
export function deviceFeeds(
  manifest: Manifest,
  parts: readonly StepPart[],
  stacks: boolean,
): Record<string, ort.Tensor> {
  const { batch, microBatch = batch, classes, boundary, targets } = manifest;
  const lead = stacks ? [parts.length] : [];
  const floats = (shape: readonly number[], of: (part: StepPart) => readonly number[] | Float32Array) =>
    new ort.Tensor('float32', concatenated(parts.map(of)), [...lead, ...shape]);
  const numbers = parts.map(({ learningRate, step }) => numbersOfStep(manifest, { learningRate, step }));
  const labels = parts.flatMap((part) => Array.from(part.labels, (label) => BigInt(Math.max(0, label))));
  const [only] = parts;
  const images = only && !stacks ? only.rows : boundary.map((_, index) => rowsOf(manifest, parts, index));
  const perImage = Object.entries(boundaryTensors(boundary, images, parts.length * microBatch));
  return {
    ...Object.fromEntries(
      perImage.map(([name, value]) => [name, value.reshape([...lead, microBatch, ...value.dims.slice(1)])]),
    ),
    ...(targets === 'soft'
      ? { [STEP_INPUTS.targets]: floats([microBatch, classes.length], (part) => part.targets) }
      : { [STEP_INPUTS.labels]: new ort.Tensor('int64', BigInt64Array.from(labels), [...lead, microBatch]) }),
    [STEP_INPUTS.shares]: floats([microBatch], ({ shares }) => shares),
    [STEP_INPUTS.step]: floats([], ({ step }) => [step]),
    [UPDATE_INPUTS.numbers]: new ort.Tensor('float32', Float32Array.from(numbers.flat()), [
      ...lead,
      numbers[0]?.length ?? 0,
    ]),
    [UPDATE_INPUTS.part]: floats([2], ({ isFirst, isLast }) => [Number(isFirst), Number(isLast)]),
  };
}

/** Value `index` of the boundary of all images of the parts. */
function rowsOf({ boundary }: Manifest, parts: readonly StepPart[], index: number): Row {
  const length = parts.reduce((sum, { rows }) => sum + (rows[index]?.length ?? 0), 0);
  const all = newRow(boundary[index]?.dtype ?? 'float32', length);
  let at = 0;
  for (const { rows } of parts) {
    const own = rows[index] ?? new Uint8Array();
    all.set(own, at);
    at += own.length;
  }
  return all;
}

function concatenated(arrays: readonly (readonly number[] | Float32Array)[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
