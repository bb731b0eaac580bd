import { dirname } from 'node:path';
import { UserError } from '../../errors.js';
import { unprintableClass } from '../classNames.js';
import { someTypes } from '../leftOut.js';
import { otherFormatIn } from '../otherFormats.js';
import type { Role } from '../splitNames.js';
import type { Folder } from '../tree.js';
import { list, namesOf, type PlaceOf } from './layoutWords.js';
import { detectionFileIn, labelsIn } from './otherTasks.js';
import { commonFolders } from './splitFolders.js';

/** What the photos of a split are there to do. */
const PURPOSES = { train: 'train', val: 'validate', test: 'test' } as const;

/** How boxes train all the same. */
const BOXES =
  'the labels of boxes train where a data.yaml of YOLO, or annotations of COCO, lie in a folder that is no zip file';

/** Says why a tree's layout is refused, and what to do; whoever finds the fault throws it. */
export class LayoutRefusals {
  constructor(
    private readonly expected: string,
    private readonly placeOf: PlaceOf,
  ) {}

  /** A tree without photos. */
  nothingIn(root: Folder): UserError {
    const names = [...root.everyFolder()].flatMap(({ otherNames }) => otherNames);
    const format = otherFormatIn(names);
    const others = [...root.othersBelow];
    const instead = format ?? (others.length > 0 ? `it holds ${someTypes(others, true)}` : undefined);
    return new UserError(
      'no-photos',
      `no photos found in ${this.placeOf(root)}${instead === undefined ? '' : `: ${instead}`}; ${this.expected}`,
    );
  }

  /** Photos without class folders; labels for detection are looked for in `above` too. */
  flat(folder: Folder, above = folder): UserError {
    const count = folder.photos.length;
    const what = count === 1 ? '1 photo lies' : `${count} photos lie`;
    const labels = detectionFileIn(folder) ?? labelsIn(above)?.name;
    const hint = labels === undefined ? '' : ` (with ${labels} beside them, as in a set for detection; ${BOXES})`;
    return new UserError(
      'no-photos',
      `${what} in ${this.placeOf(folder)} itself, not in class folders${hint}; ${this.expected}`,
    );
  }

  /** A set for another task than classification. */
  otherTask(folder: Folder, task: string): UserError {
    return new UserError(
      'no-classes',
      `${this.placeOf(folder)} looks like a set for ${task}; a classifier needs a folder for each class, <folder>/<class>/*.jpg${task.startsWith('detection') ? `; ${BOXES}` : ''}`,
    );
  }

  /** A class whose name is no text, or no line of it. */
  badClassName(folder: Folder): UserError {
    if (!folder.oddName) return unprintableClass(folder.name, dirname(this.placeOf(folder)));
    return new UserError(
      'bad-class-name',
      `the name of the class folder ${this.placeOf(folder)} is not UTF-8; rename it, as convmv -f latin1 -t utf8 --notest does for Latin-1`,
    );
  }

  /** Two folders with photos that are both called as the same split. */
  sameSplit(role: Exclude<Role, 'none'>, first: Folder, second: Folder): UserError {
    return ambiguous(
      `${this.placeOf(first)} and ${this.placeOf(second)} are both called as photos to ${PURPOSES[role]} with are; put them into one folder, or rename one`,
    );
  }

  /** A split beside a folder with the same folders in it. */
  splitOrClass(split: Folder, beside: Folder): UserError {
    return ambiguous(
      `${this.placeOf(split)} and ${this.placeOf(beside)} hold folders of the same names (${list(commonFolders(split, beside))}); if these are the classes, call the other folder train, val or test, and if not, rename ${split.name}`,
    );
  }

  /** A class with splits in it beside a class without. */
  splitsInSomeClasses(folder: Folder, splits: readonly Folder[], without: Folder): UserError {
    return ambiguous(
      `${this.placeOf(folder)} holds ${namesOf(splits)}, and ${this.placeOf(without)} does not; give each class the same splits, or none`,
    );
  }

  /** A whole data set beside other photos. */
  setAmongClasses(set: Folder, other: Folder): UserError {
    return ambiguous(
      `${this.placeOf(set)} holds ${namesOf(set.full)} with class folders, and other photos lie in ${this.placeOf(other)}; keep one of them, or name the folder to take (‹data›)`,
    );
  }
}

function ambiguous(message: string): UserError {
  return new UserError('ambiguous-layout', message);
}
