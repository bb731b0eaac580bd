import { z } from 'zod';
import { add, assemble, div, type Kernel, mul, sqrt, sub } from './assembler.js';

/** Numbers by name. */
type Scalars<Name extends string> = Readonly<Record<Name, number>>;
/** Arrays of one length in the memory of the kernels, by name. */
type Arrays<Name extends string> = Readonly<Record<Name, Float32Array>>;

const kernel = <Array extends string, Scalar extends string>(
  arrays: readonly Array[],
  scalars: readonly Scalar[],
  body: Kernel['body'],
) => ({ arrays, scalars, body });

/**
 * Passes over memory that update parameters, in float32. ONNX Runtime makes ten of one, and gives a copy of each result; JavaScript takes
 * three times as long without vectors.
 */
const KERNELS = {
  /** sum ← sum + other */
  addTo: kernel(['sum', 'other'], [], ({ load, store }) => {
    store('sum', add(load('sum'), load('other')));
  }),
  /** average ← average + (parameter − average)·share */
  average: kernel(['average', 'parameter'], ['share'], ({ load, scalar, keep, store }) => {
    const old = keep(load('average'));
    store('average', add(old, mul(sub(load('parameter'), old), scalar('share'))));
  }),
  /** g = scale·gradient + decay·p,  m ← β₁·m + g,  v ← β₂·v + g²,  p ← keep·p − rate·m/(√v + offset) */
  adam: kernel(
    ['parameter', 'gradient', 'first', 'second'],
    ['scale', 'decay', 'keep', 'rate', 'beta1', 'beta2', 'offset'],
    ({ load, scalar, keep, store }) => {
      const p = keep(load('parameter'));
      const g = keep(add(mul(load('gradient'), scalar('scale')), mul(p, scalar('decay'))));
      const m = keep(add(mul(load('first'), scalar('beta1')), g));
      const v = keep(add(mul(load('second'), scalar('beta2')), mul(g, g)));
      store('first', m);
      store('second', v);
      const quotient = div(mul(m, scalar('rate')), add(sqrt(v), scalar('offset')));
      store('parameter', sub(mul(p, scalar('keep')), quotient));
    },
  ),
  /** g = scale·gradient + decay·p,  p ← p − rate·g */
  descend: kernel(['parameter', 'gradient'], ['scale', 'decay', 'rate'], ({ load, scalar, keep, store }) => {
    const p = keep(load('parameter'));
    const g = add(mul(load('gradient'), scalar('scale')), mul(p, scalar('decay')));
    store('parameter', sub(p, mul(g, scalar('rate'))));
  }),
  /** g = scale·gradient + decay·p,  m ← μ·m + g,  p ← p − rate·(m·ahead + g·own): 1 and 0, or μ and 1 of Nesterov's */
  momentum: kernel(
    ['parameter', 'gradient', 'velocity'],
    ['scale', 'decay', 'momentum', 'rate', 'ahead', 'own'],
    ({ load, scalar, keep, store }) => {
      const p = keep(load('parameter'));
      const g = keep(add(mul(load('gradient'), scalar('scale')), mul(p, scalar('decay'))));
      const m = keep(add(mul(load('velocity'), scalar('momentum')), g));
      store('velocity', m);
      const direction = add(mul(m, scalar('ahead')), mul(g, scalar('own')));
      store('parameter', sub(p, mul(direction, scalar('rate'))));
    },
  ),
  /** gradient ← gradient + pull·(parameter − anchor): that of pull/2·‖parameter − anchor‖² (FedProx, Li et al. 2020) */
  proximal: kernel(['gradient', 'parameter', 'anchor'], ['pull'], ({ load, scalar, store }) => {
    store('gradient', add(load('gradient'), mul(sub(load('parameter'), load('anchor')), scalar('pull'))));
  }),
  /** g = scale·gradient + decay·p,  v ← α·v + g²,  p ← p − rate·g/(√v + offset) */
  rmsprop: kernel(
    ['parameter', 'gradient', 'squares'],
    ['scale', 'decay', 'rate', 'smoothing', 'offset'],
    ({ load, scalar, keep, store }) => {
      const p = keep(load('parameter'));
      const g = keep(add(mul(load('gradient'), scalar('scale')), mul(p, scalar('decay'))));
      const v = keep(add(mul(load('squares'), scalar('smoothing')), mul(g, g)));
      store('squares', v);
      store('parameter', sub(p, mul(div(g, add(sqrt(v), scalar('offset'))), scalar('rate'))));
    },
  ),
  /** The same with m ← μ·m + g/(√v + offset),  p ← p − rate·m */
  rmspropMomentum: kernel(
    ['parameter', 'gradient', 'squares', 'velocity'],
    ['scale', 'decay', 'rate', 'smoothing', 'offset', 'momentum'],
    ({ load, scalar, keep, store }) => {
      const p = keep(load('parameter'));
      const g = keep(add(mul(load('gradient'), scalar('scale')), mul(p, scalar('decay'))));
      const v = keep(add(mul(load('squares'), scalar('smoothing')), mul(g, g)));
      store('squares', v);
      const m = keep(add(mul(load('velocity'), scalar('momentum')), div(g, add(sqrt(v), scalar('offset')))));
      store('velocity', m);
      store('parameter', sub(p, mul(m, scalar('rate'))));
    },
  ),
} as const;

type Name = keyof typeof KERNELS;
type Of<Called extends Name> = (typeof KERNELS)[Called];

/** Elements that a kernel takes at once: each array has room for a whole number of them. */
export const VECTOR = 4;
const PAGE_BYTES = 2 ** 16;

const exported = z.record(
  z.string(),
  z.custom<(...args: number[]) => void>((value) => typeof value === 'function'),
);

/** The kernels over a memory in which their arrays lie. */
export class Kernels {
  private readonly run: Readonly<Record<string, (...args: number[]) => void>>;

  constructor(private readonly memory: WebAssembly.Memory) {
    const { buffer } = memory;
    const isShared = buffer instanceof SharedArrayBuffer;
    const module = new WebAssembly.Module(assemble(KERNELS, { pages: buffer.byteLength / PAGE_BYTES, isShared }));
    this.run = exported.parse({ ...new WebAssembly.Instance(module, { env: { memory } }).exports });
  }

  /** Runs a kernel on arrays of one length in its memory, in place. */
  call<Called extends Name>(
    name: Called,
    arrays: Arrays<Of<Called>['arrays'][number]>,
    scalars: Scalars<Of<Called>['scalars'][number]>,
  ): void {
    const given: readonly (readonly [string, Float32Array])[] = Object.entries<Float32Array>(arrays);
    const [, first] = given[0] ?? ['', new Float32Array()];
    if (given.some(([, { buffer, length }]) => buffer !== this.memory.buffer || length !== first.length))
      throw new Error('arrays of a kernel have one length, and lie in its memory');
    if (first.length === 0) return;
    const { arrays: names, scalars: numbers }: Kernel = KERNELS[name];
    const places = new Map(given.map(([array, { byteOffset }]) => [array, byteOffset]));
    const values = new Map(Object.entries<number>(scalars));
    this.run[name]?.(
      ...names.map((array) => places.get(array) ?? 0),
      4 * VECTOR * Math.ceil(first.length / VECTOR),
      ...numbers.map((number) => values.get(number) ?? 0),
    );
  }
}

/** A memory for so many float32 elements. Threads share it where it is to be shared. @throws RangeError where the machine has no such memory. */
export function newKernelMemory(elements: number, isShared: boolean): WebAssembly.Memory {
  const pages = Math.max(1, Math.ceil((4 * elements) / PAGE_BYTES));
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isShared });
}
