import type { Manifest } from '../artifacts/manifest.js';
import type { Tensor } from '../onnx/tensor.js';

/** What is evaluated and exported of a state: parameters, or their averages, and the statistics of normalizations. */
export function parametersOf(manifest: Manifest, state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const statistics = manifest.statistics.map(({ name }) => ({ name, average: name }));
  return new Map(
    [...manifest.parameters, ...statistics].flatMap(({ name, average = name }) => {
      const tensor = state.get(average);
      return tensor ? [[name, tensor] as const] : [];
    }),
  );
}

/** State in which `parameters` are evaluated, be there averages or not. */
export function inPlaceOfAverages(
  manifest: Manifest,
  parameters: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Tensor> {
  const averages = manifest.parameters.flatMap(({ name, average }) => {
    const value = parameters.get(name);
    return average !== undefined && value ? [[average, value] as const] : [];
  });
  return new Map([...parameters, ...averages]);
}
