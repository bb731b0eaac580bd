import type { Value } from '../graph/graph.js';
import type { ModelFile } from '../onnx/model.js';
import { imageLayout } from './imageLayout.js';
import { type PreprocessingOptions, preprocessingOf, PRESETS, type StatedPreprocessing } from './preprocessing.js';

/**
 * What is done to photos before `image`, the input of a model: to bytes, which the model prepares by itself, nothing but to fit them; to
 * grey ones what the mean of three channels says.
 * @throws UserError as {@link preprocessingOf}.
 */
export function statedFor(
  model: Pick<ModelFile, 'proto' | 'path'>,
  options: PreprocessingOptions,
  { name, dtype, shape }: Pick<Value, 'name' | 'dtype' | 'shape'>,
): StatedPreprocessing {
  const layout = imageLayout(shape);
  if (!layout) throw new Error('the model takes no image');
  const { height, width, channels } = layout;
  if (dtype === 'uint8') {
    const chosen = options.preprocessing;
    // What says nothing of the numbers is no guess here.
    const stated = preprocessingOf(
      model,
      typeof chosen === 'function' ? options : { ...options, preprocessing: fitting(chosen) },
      [height, width],
    );
    const note = `input "${name}" takes bytes, and the model prepares them by itself: mean and deviation are none`;
    return {
      preprocessing: { ...stated.preprocessing, ...numbersOf('none') },
      notes: [note, ...stated.notes],
      warnings: stated.warnings,
    };
  }
  const stated = preprocessingOf(model, options, [height, width]);
  if (channels === 3) return stated;
  const mean = average(stated.preprocessing.mean);
  const std = average(stated.preprocessing.std);
  const note = `input "${name}" takes grey images: photos become grey as Pillow makes them (ITU-R 601), with mean ${Number(mean.toPrecision(4))} and deviation ${Number(std.toPrecision(4))}`;
  return {
    ...stated,
    preprocessing: { ...stated.preprocessing, mean: [mean, mean, mean], std: [std, std, std] },
    notes: [...stated.notes, note],
  };
}

const numbersOf = (preset: keyof typeof PRESETS): { mean: [number, number, number]; std: [number, number, number] } => {
  const { mean, std } = PRESETS[preset];
  return { mean: [...mean], std: [...std] };
};

/** What a choice says of how photos are fitted, with numbers that are not used. */
function fitting(chosen: string | undefined): string {
  const parts = (chosen ?? '').split(',').filter((part) => /^\s*(size|crop)\s*=/.test(part));
  return ['mean=0', 'std=1', ...parts].join(',');
}

const average = ([a, b, c]: readonly [number, number, number]): number => (a === b && b === c ? a : (a + b + c) / 3);
