import { UserError } from '../errors.js';
import { allFinite, notFinite } from '../finite.js';
import { elementCount, floatTensor, tensor, type Tensor } from '../onnx/tensor.js';
import type { FilledOptions } from './compileOptions.js';
import { firstLossScaling } from './mixedPrecision.js';
import type { Split } from './splitGraph.js';

/**
 * Parameters and their averages as they are at first, moments zero. What `init` names begins with its values there.
 * @throws UserError `bad-init` for what does not train here, or has another shape; `not-finite` for values that are no numbers.
 */
export function initialState(
  { parameters, averages, entries }: Split,
  { init = new Map<string, Tensor>(), precision }: Pick<FilledOptions, 'init' | 'precision'>,
): Map<string, Tensor> {
  const begin = new Map([...averages, ...parameters].map(({ name, constant }) => [name, constant]));
  for (const [name, value] of init) {
    checkFits(name, value, begin.get(name));
    begin.set(name, value);
  }
  const state = new Map<string, Tensor>();
  const set = (name: string): Tensor => {
    const value = begin.get(name);
    if (!value) throw new Error(`"${name}" has no value`);
    state.set(name, value);
    return value;
  };
  for (const { name } of averages) set(name);
  for (const { name, shape, moments, average } of entries) {
    const value = set(name);
    for (const moment of moments) state.set(moment, tensor('float32', shape, new Float32Array(elementCount(shape))));
    if (average !== undefined) state.set(average, value);
  }
  if (precision === 'mixed') for (const [name, number] of firstLossScaling) state.set(name, floatTensor([], [number]));
  return state;
}

function checkFits(name: string, { dims, dtype, data }: Tensor, wanted: Tensor | undefined): void {
  if (!wanted)
    throw new UserError(
      'bad-init',
      `"${name}" is none of the parameters that train; name a file of the same ‹policy›, such as a run's best/checkpoint.safetensors (‹init›)`,
    );
  if (dtype !== wanted.dtype || dims.join() !== wanted.dims.join())
    throw new UserError(
      'bad-init',
      `"${name}" is ${dtype} [${dims.join(', ')}], and ${wanted.dtype} [${wanted.dims.join(', ')}] trains; name a file of the same model and classes (‹init›)`,
    );
  if (data instanceof Float32Array && !allFinite(data))
    throw notFinite(`"${name}" has values that are no numbers (‹init›)`);
}
