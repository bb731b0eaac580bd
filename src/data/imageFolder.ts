import { type Dataset, datasetOf, type Found, type OpenOptions } from './dataset.js';
import { listFolder } from './folderListing.js';
import { readTreeLayout } from './layout/treeLayout.js';
import { NAMED_EXTENSIONS } from './photoTypes.js';
import { treeOf } from './tree.js';

const EXPECTED = `expected one folder for each class, <folder>/<class>/*.jpg, or <folder>/train/<class>/*.jpg and <folder>/val/<class>/*.jpg (or ${NAMED_EXTENSIONS.slice(1).join(' ')})`;

/** A folder of photos as a data set. */
export class ImageFolder implements Dataset {
  readonly classes;
  readonly train;
  readonly val;
  readonly test;
  readonly validatesWithTest;
  readonly folder;
  readonly contents;

  private constructor({ classes, train, val, test = [], validatesWithTest = false, folder, contents }: Dataset) {
    this.classes = classes;
    this.train = train;
    this.val = val;
    this.test = test;
    this.validatesWithTest = validatesWithTest;
    this.folder = folder;
    this.contents = contents ?? { found: train.length + val.length + test.length, leftOut: {}, warnings: [] };
  }

  /**
   * Opens a folder: `train/`, `val/` and `test/`, or what else people call them, with a folder for each class, or the class folders
   * alone, of which a seeded part of each class then validates: at least one photo, never the class's last one.
   * @throws UserError `no-such-folder`, and what `datasetOf` throws.
   */
  static async open(folder: string, options: OpenOptions = {}): Promise<ImageFolder> {
    return new ImageFolder(datasetOf(await findInFolder(folder), options));
  }
}

/** What a folder holds, whether it will do as a data set or not. @throws UserError `no-such-folder`. */
export async function findInFolder(folder: string): Promise<Found> {
  const tree = await treeOf(await listFolder(folder, EXPECTED));
  const layout = readTreeLayout(tree, folder, EXPECTED);
  return { source: folder, expected: EXPECTED, found: tree.found, leftOut: tree.leftOut, ...layout };
}
