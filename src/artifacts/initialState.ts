import { elementCount, tensor, type Tensor } from '../onnx/tensor.js';
import type { Split } from './splitGraph.js';

/** Parameters and their averages as they are at first, moments zero. */
export function initialState({ parameters, averages, entries }: Split): Map<string, Tensor> {
  const state = new Map<string, Tensor>();
  for (const { name, constant } of averages) {
    if (!constant) throw new Error(`statistic "${name}" has no value`);
    state.set(name, constant);
  }
  parameters.forEach(({ name, constant }, index) => {
    if (!constant) throw new Error(`parameter "${name}" has no value`);
    state.set(name, constant);
    const { moments = [], average } = entries[index] ?? {};
    for (const moment of moments)
      state.set(moment, tensor('float32', constant.dims, new Float32Array(elementCount(constant.dims))));
    if (average !== undefined) state.set(average, constant);
  });
  return state;
}
