import { type Manifest, stateNames } from '../artifacts/manifest.js';
import { UserError } from '../errors.js';
import { elementCount } from '../onnx/tensor.js';
import { newKernelMemory, VECTOR } from '../optim/kernels/kernels.js';

export type Arrays = ReadonlyMap<string, Float32Array>;
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** What lasts from step to step, and the gradients of a step: one memory, which threads share where there are several sessions. */
export class TrainingMemory {
  /** Parameters, moments, averages, statistics, and the loss's scale, by name. */
  readonly state: Arrays;
  /** For each session, gradients by the parameter's name: sums over the parts of a batch that it takes. */
  readonly gradients: readonly Arrays[];
  /** By the parameter's name, what it is held near to; empty where `isAnchored` is false. */
  readonly anchors: Arrays;

  /**
   * @param memory as {@link TrainingMemory.allocate} gave it, here or in another thread.
   * @param isAnchored as it was told.
   */
  constructor(
    manifest: Manifest,
    readonly memory: WebAssembly.Memory,
    isAnchored = false,
  ) {
    let byteOffset = 0;
    const take = (shapes: Shapes): Arrays =>
      new Map(
        [...shapes].map(([name, shape]) => {
          const array = new Float32Array(memory.buffer, byteOffset, elementCount(shape));
          byteOffset += 4 * roomFor(shape);
          return [name, array];
        }),
      );
    this.state = take(stateShapes(manifest));
    this.gradients = Array.from({ length: sessionsOf(manifest) }, () => take(parameterShapes(manifest)));
    this.anchors = take(isAnchored ? parameterShapes(manifest) : new Map());
  }

  /**
   * Memory of zeros.
   * @param isAnchored whether parameters are held near to others, which lie in it too.
   * @throws UserError `too-little-memory` where the machine has none so large.
   */
  static allocate(manifest: Manifest, isAnchored = false): WebAssembly.Memory {
    const sum = (shapes: Shapes) => [...shapes.values()].reduce((total, shape) => total + roomFor(shape), 0);
    const sessions = sessionsOf(manifest);
    const copies = sessions + (isAnchored ? 1 : 0);
    const elements = sum(stateShapes(manifest)) + copies * sum(parameterShapes(manifest));
    try {
      return newKernelMemory(elements, sessions > 1);
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
      throw new UserError(
        'too-little-memory',
        `policy ${manifest.policy} keeps ${Math.ceil((4 * elements) / 1e6)} MB of parameters, moments and gradients, more than can be had at once; choose a policy that trains fewer layers`,
        { cause: thrown },
      );
    }
  }
}

const sessionsOf = ({ sessions = 1 }: Manifest) => sessions;

/** Elements of an array with what fills up its last vector. */
const roomFor = (shape: readonly number[]) => VECTOR * Math.ceil(elementCount(shape) / VECTOR);

/** Arrays of zeros by name, which only this thread has. */
export function newArrays(shapes: Shapes): Map<string, Float32Array> {
  return new Map([...shapes].map(([name, shape]) => [name, new Float32Array(elementCount(shape))]));
}

export const parameterShapes = ({ parameters }: Manifest): Shapes =>
  new Map(parameters.map(({ name, shape }) => [name, shape]));

/** The shape of each value that lasts from step to step; the loss's scale is a scalar. */
export function stateShapes(manifest: Manifest): Shapes {
  const { parameters, statistics } = manifest;
  const shapes = new Map([
    ...statistics.map(({ name, shape }) => [name, shape] as const),
    ...parameters.flatMap(({ name, shape, moments, average }) =>
      [name, ...moments, average].flatMap((each) => (each === undefined ? [] : [[each, shape] as const])),
    ),
  ]);
  return new Map(stateNames(manifest).map((name) => [name, shapes.get(name) ?? []]));
}

/** @throws Error where there is no array of that name. */
export function arrayOf(arrays: Arrays, name: string): Float32Array {
  const array = arrays.get(name);
  if (!array) throw new Error(`nothing is kept of "${name}"`);
  return array;
}
