import type { Manifest } from '../artifacts/manifest.js';
import type { Dataset } from '../data/dataset.js';
import { labelCounts, labelIndex } from '../data/labels.js';
import type { Photo } from '../data/photo.js';
import { UserError } from '../errors.js';

/** Classes that a line names. */
const NAMED = 8;

type Known = Pick<Manifest, 'classes' | 'task'>;

/**
 * Photos of some of the classes that artifacts were compiled for, labelled as those are.
 * @throws UserError `unknown-class` for photos of another class, `bad-arguments` for those of another task.
 */
export function withClassesOf({ classes, task }: Known, dataset: Dataset): Dataset {
  const { task: own = 'classes', folder } = dataset;
  if (own !== task)
    throw new UserError(
      'bad-arguments',
      `the artifacts are for photos with ${told(task)}, and those of ${folder} have ${told(own)}; compile others (‹task›)`,
    );
  const places = dataset.classes.map((name) => {
    const place = labelIndex(classes, name);
    if (place >= 0) return place;
    const known = classes.length > NAMED ? `${classes.slice(0, NAMED).join(', ')}, …` : classes.join(', ');
    throw new UserError(
      'unknown-class',
      `class "${name}" of ${folder} is none that the artifacts were compiled for (${known}); rename or remove it, or compile artifacts with it`,
    );
  });
  const placed = (photos: readonly Photo[]) =>
    photos.map((photo): Photo => {
      if (!photo.labels) return { ...photo, label: places[photo.label] ?? 0 };
      return { ...photo, labels: photo.labels.map((label) => places[label] ?? 0).sort((a, b) => a - b) };
    });
  return {
    ...dataset,
    classes: [...classes],
    train: placed(dataset.train),
    val: placed(dataset.val),
    test: placed(dataset.test ?? []),
  };
}

const told = (task: Manifest['task']) => (task === 'labels' ? 'any number of labels each' : 'one class each');

/** How many photos each class has. */
export function countsByClass(classes: readonly string[], photos: readonly Photo[]): Record<string, number> {
  const counts = labelCounts(photos, classes.length);
  return Object.fromEntries(classes.map((name, index) => [name, counts[index] ?? 0]));
}
