import { labelKey } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { Random } from '../random.js';

/** The photos in an order of which every beginning, and every end, has the classes, or the sets of labels, in their proportions. */
export function interleaved(photos: readonly Photo[], seed: number): Photo[] {
  const random = new Random(seed).fork('recommend');
  const byClass = new Map<string, Photo[]>();
  for (const photo of photos) {
    const group = byClass.get(labelKey(photo));
    if (group) group.push(photo);
    else byClass.set(labelKey(photo), [photo]);
  }
  return [...byClass.values()]
    .flatMap((group) => {
      const offset = random.next();
      return random.shuffle(group).map((photo, index) => ({ photo, place: (index + offset) / group.length }));
    })
    .sort((a, b) => a.place - b.place)
    .map(({ photo }) => photo);
}
