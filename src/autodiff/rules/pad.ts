import { concreteShape } from '../../graph/graph.js';
import { type AxisMap, selection, transposedMaps } from '../axisMap.js';
import { constantNumbers } from '../constants.js';
import type { GradientRule } from '../rule.js';

/**
 * y = x with more before and after  ⇒  dx = dy without it: cut off where a constant was put, added to the elements that it
 * was copied from where the mode is `reflect`, `edge` or `wrap`. A negative pad cuts off, and its gradient is 0.
 */
export const pad: GradientRule = {
  op: 'Pad',
  gradients: ({ node, input, dy, g }) => [
    () => {
      const shape = concreteShape(input(0));
      const pads = constantNumbers(node, 1, 'pads') ?? [];
      const axes = (constantNumbers(node, 3, 'axes') ?? shape.map((_, axis) => axis)).map((axis) =>
        axis < 0 ? axis + shape.length : axis,
      );
      const [before, after] = [shape.map(() => 0), shape.map(() => 0)];
      axes.forEach((axis, index) => {
        before[axis] = pads[index] ?? 0;
        after[axis] = pads[index + axes.length] ?? 0;
      });
      const mode = node.string('mode', 'constant');
      if (mode === 'constant') {
        const back = [...before, ...after].map((count) => (count === 0 ? 0 : -count));
        return back.every((count) => count === 0) ? dy : g.pad(dy, back);
      }
      const maps = shape.map((length, axis) => copies(axis, length, before[axis] ?? 0, after[axis] ?? 0, mode));
      return transposedMaps(g, dy, maps);
    },
    undefined,
    undefined,
    undefined,
  ],
};

/** Which element each place of a padded axis shows; what is cut off (a negative pad) is not copied from either. */
function copies(axis: number, length: number, before: number, after: number, mode: string): AxisMap {
  const first = Math.max(0, -before);
  const kept = length - first - Math.max(0, -after);
  const indices = Array.from({ length: length + before + after }, (_, place) => {
    const at = place - Math.max(0, before);
    return first + source(at, kept, mode);
  });
  return selection(axis, length, indices);
}

function source(at: number, length: number, mode: string): number {
  switch (mode) {
    case 'reflect': {
      // There and back again without repeating the ends.
      const period = Math.max(1, 2 * (length - 1));
      const place = ((at % period) + period) % period;
      return Math.min(place, period - place) % length;
    }
    case 'wrap':
      return ((at % length) + length) % length;
    default:
      return Math.min(length - 1, Math.max(0, at));
  }
}
