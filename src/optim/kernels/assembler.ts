/** Code that leaves a value on WebAssembly's stack. */
export type Expression = readonly number[];

/** What a kernel does to four consecutive elements of each of its arrays. */
export interface KernelBody {
  /** The four elements of an array. */
  readonly load: (array: string) => Expression;
  /** A number that the kernel is given, four times. */
  readonly scalar: (name: string) => Expression;
  /** Keeps a value that is needed several times. */
  readonly keep: (value: Expression) => Expression;
  readonly store: (array: string, value: Expression) => void;
}

export interface Kernel {
  readonly arrays: readonly string[];
  readonly scalars: readonly string[];
  readonly body: (body: KernelBody) => void;
}

export const add = (a: Expression, b: Expression): Expression => [...a, ...b, 0xfd, 0xe4, 0x01];
export const sub = (a: Expression, b: Expression): Expression => [...a, ...b, 0xfd, 0xe5, 0x01];
export const mul = (a: Expression, b: Expression): Expression => [...a, ...b, 0xfd, 0xe6, 0x01];
export const div = (a: Expression, b: Expression): Expression => [...a, ...b, 0xfd, 0xe7, 0x01];
export const sqrt = (a: Expression): Expression => [...a, 0xfd, 0xe3, 0x01];

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;
const VECTOR_BYTES = 16;

/**
 * A WebAssembly module (core specification 2.0, with vectors of four float32 numbers) of kernels, each a function of its arrays' places in
 * memory in bytes, the bytes of one array, and its scalars. Memory is imported as `env.memory`.
 */
export function assemble(kernels: Readonly<Record<string, Kernel>>, memory: { pages: number; isShared: boolean }) {
  const all = Object.entries(kernels);
  const types = all.map(([, { arrays, scalars }]) => [
    0x60,
    ...vector([...arrays.map(() => [I32]), [I32], ...scalars.map(() => [F32])]),
    0x00,
  ]);
  const pages = unsigned(memory.pages);
  const limits = memory.isShared ? [0x03, ...pages, ...pages] : [0x01, ...pages, ...pages];
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, types),
    ...section(2, [[...text('env'), ...text('memory'), 0x02, ...limits]]),
    ...section(
      3,
      all.map((_, index) => unsigned(index)),
    ),
    ...section(
      7,
      all.map(([name], index) => [...text(name), 0x00, ...unsigned(index)]),
    ),
    ...section(
      10,
      all.map(([, kernel]) => sized(codeOf(kernel))),
    ),
  ]);
}

/** The loop over all vectors of a kernel's arrays: locals, then code. */
function codeOf({ arrays, scalars, body }: Kernel): number[] {
  const [bytes, firstScalar] = [arrays.length, arrays.length + 1];
  const position = firstScalar + scalars.length;
  const firstVector = position + 1;
  const get = (local: number) => [0x20, ...unsigned(local)];
  const set = (local: number) => [0x21, ...unsigned(local)];
  const placeOf = (array: string) => [...get(arrays.indexOf(array)), ...get(position), 0x6a];
  const loop: number[] = [];
  let vectors = scalars.length;
  body({
    load: (array) => [...placeOf(array), 0xfd, 0x00, 0x04, 0x00],
    scalar: (name) => get(firstVector + scalars.indexOf(name)),
    keep: (value) => {
      const local = firstVector + vectors++;
      loop.push(...value, ...set(local));
      return get(local);
    },
    store: (array, value) => {
      loop.push(...placeOf(array), ...value, 0xfd, 0x0b, 0x04, 0x00);
    },
  });
  const splats = scalars.flatMap((_, n) => [...get(firstScalar + n), 0xfd, 0x13, ...set(firstVector + n)]);
  const next = [...get(position), 0x41, VECTOR_BYTES, 0x6a, ...set(position)];
  const again = [...get(position), ...get(bytes), 0x49, 0x0d, 0x00];
  return [
    ...vector([
      [0x01, I32],
      [...unsigned(vectors), V128],
    ]),
    ...[...splats, 0x03, 0x40, ...loop, ...next, ...again, 0x0b, 0x0b],
  ];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

const vector = (items: readonly (readonly number[])[]) => [...unsigned(items.length), ...items.flat()];
const sized = (bytes: readonly number[]) => [...unsigned(bytes.length), ...bytes];
const section = (id: number, items: readonly (readonly number[])[]) => [id, ...sized(vector(items))];
const text = (name: string) => sized([...new TextEncoder().encode(name)]);
