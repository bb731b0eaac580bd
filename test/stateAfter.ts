import { type Manifest, NEXT } from '../src/artifacts/manifest.js';
import { tensor, type Tensor } from '../src/onnx/tensor.js';
import type * as ort from '../src/runtime/ort.js';
import { StateUpdate, type UpdateStep } from '../src/runtime/stateUpdate.js';
import { arrayOf, stateShapes, TrainingMemory } from '../src/runtime/trainingMemory.js';

/** What becomes of a training's state at a step, from what a run of its training graph gave. */
export function stateAfter(
  given: Omit<Manifest, 'files'>,
  state: ReadonlyMap<string, Tensor>,
  results: Readonly<Record<string, ort.Tensor>>,
  step: Omit<UpdateStep, 'scale'>,
): Map<string, Tensor> {
  const manifest: Manifest = { ...given, files: {} };
  const memory = new TrainingMemory(manifest, TrainingMemory.allocate(manifest));
  const floatsOf = (name: string) => results[name]?.data as Float32Array;
  for (const [name, values] of memory.state) values.set(state.get(name)?.data as Float32Array);
  for (const { name } of manifest.statistics) arrayOf(memory.state, name).set(floatsOf(name + NEXT));
  const [gradients = new Map<string, Float32Array>()] = memory.gradients;
  for (const { name, gradient = '' } of manifest.parameters) arrayOf(gradients, name).set(floatsOf(gradient));
  new StateUpdate(manifest, memory, [...manifest.parameters.keys()]).apply({ ...step, scale: 1 });
  return new Map(
    [...stateShapes(manifest)].map(([name, shape]) => [
      name,
      tensor('float32', shape, arrayOf(memory.state, name).slice()),
    ]),
  );
}
