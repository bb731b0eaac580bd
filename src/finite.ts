import { UserError } from './errors.js';

/** Whether all are numbers: neither NaN nor infinite. */
export function allFinite(values: ArrayLike<number>): boolean {
  // Zero times what is no number is none either. Nothing branches, so that millions of parameters take milliseconds.
  let zero = 0;
  for (let index = 0; index < values.length; index++) zero += (values[index] ?? 0) * 0;
  return zero === 0;
}

/** The name of the first float32 tensor in which something is no number; undefined where there is none. */
export function nonFiniteIn(tensors: Iterable<readonly [string, { readonly data: unknown }]>): string | undefined {
  for (const [name, { data }] of tensors) if (data instanceof Float32Array && !allFinite(data)) return name;
  return undefined;
}

/** The error for results, or weights, that are no numbers. */
export function notFinite(what: string): UserError {
  return new UserError(
    'not-finite',
    `${what}: NaN, or infinite; its weights are damaged, or its training has diverged: train it again with a smaller learning rate (‹learningRate›)`,
  );
}
