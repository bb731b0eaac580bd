import type { Node } from '../graph.js';

/** The name of the value that counts the images of a run. */
export const IMAGE_COUNT = 'image_count';

/** Whether a node counts the images of a run, by the first axis of a value that has one row for each. */
export function countsImages(node: Node): boolean {
  const [images] = node.inputs[0]?.shape ?? [];
  const isFirst = node.int('start', 0) === 0 && node.int('end', Infinity) === 1;
  return node.op === 'Shape' && node.domain === '' && isFirst && typeof images === 'object' && images.batch === 1;
}
