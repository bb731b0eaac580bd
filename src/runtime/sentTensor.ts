import * as ort from './ort.js';

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

/** Runs a session: gives the outputs `wanted`, in this order. @throws what ONNX Runtime throws. */
export async function runSent(
  session: ort.InferenceSession,
  feeds: readonly SentTensor[],
  wanted: readonly string[],
): Promise<SentTensor[]> {
  const inputs = Object.fromEntries(
    feeds.map(({ name, type, data, dims }) => [name, new ort.Tensor(type, data, dims)]),
  );
  const results = await session.run(inputs, wanted);
  return wanted.flatMap((name) => {
    const result = results[name];
    return result ? [{ name, type: result.type, dims: result.dims, data: result.data }] : [];
  });
}
