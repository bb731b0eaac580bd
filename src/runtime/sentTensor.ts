import type * as ort from './ort.js';

/** A tensor on its way between threads. */
export interface SentTensor {
  readonly name: string;
  readonly type: ort.Tensor['type'];
  readonly dims: readonly number[];
  readonly data: ort.Tensor['data'];
}

/** The buffers of `tensors`, to be handed over or given back. */
export function buffersOf(tensors: readonly Pick<SentTensor, 'data'>[]): ArrayBuffer[] {
  const buffers = tensors.flatMap(({ data }) =>
    ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer ? data.buffer : [],
  );
  return [...new Set(buffers)];
}
