import { UserError } from '../errors.js';
import { type Dataset, datasetOf, type Found, type OpenOptions } from './dataset.js';
import type { Unlabelled } from './photo.js';
import { ListedFiles } from './listedFiles.js';
import { checkSplit, EXPECTED, photosOfList } from './listRows.js';
import { sortedClasses } from './sortedClasses.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import type { Role } from './splitNames.js';

/** A photo of the list, by the line that named it first. */
interface Row {
  readonly photo: Unlabelled;
  readonly label: string;
  readonly split: Role;
  readonly line: number;
}

/**
 * Opens a list of photos, separated by commas, semicolons or tabs: `path,label` or `path,label,split` (`train`, `val`, `test`, or what
 * else people call them), in that order, or in any order under a header. Paths are relative to the list. Classes are sorted by code
 * unit. A photo that several lines name, as a list of boxes does, counts once.
 * @throws UserError `bad-csv` with the line, `no-such-file` for the list, and what `datasetOf` throws.
 */
export async function openCsv(list: string, options: OpenOptions): Promise<Dataset> {
  return datasetOf(await findInList(list), options);
}

/** What a list names, whether it will do as a data set or not. @throws UserError `bad-csv`, `no-such-file`. */
export async function findInList(list: string): Promise<Found> {
  const rows = new Map<string, Row>();
  const warnings: string[] = [];
  let found = 0;
  let hasSplits = false;
  for await (const each of photosOfList(list, { files: new ListedFiles(), warnings })) {
    const { file, path, cells, columns, split, line, wrong } = each;
    hasSplits = columns.split !== undefined;
    const label = (cells[columns.label] ?? '').normalize('NFC');
    if (label === '')
      throw wrong(`the label is empty; ${EXPECTED}, or say that photos have any number of labels (‹task› labels)`);
    found++;
    const before = rows.get(file.key);
    if (!before) {
      rows.set(file.key, { photo: { path: file.path }, label, split, line });
      continue;
    }
    if (before.label !== label)
      throw wrong(
        `${path} is "${label}" here and "${before.label}" in line ${before.line}; a photo has one class, so correct one of the lines or remove both, or say that photos may have several labels (‹task› labels)`,
      );
    checkSplit(each, before);
  }
  const whole = foundOf(list, [...rows.values()], found, hasSplits);
  return { ...whole, warnings: [...warnings, ...whole.warnings] };
}

function foundOf(list: string, rows: readonly Row[], found: number, hasSplits: boolean): Found {
  const splitOf = (split: Role) => {
    const classes = new Map<string, Unlabelled[]>();
    for (const { photo, label } of rows.filter((row) => row.split === split)) {
      const others = classes.get(label);
      if (others) others.push(photo);
      else classes.set(label, [photo]);
    }
    return { source: list, classes: sortedClasses(classes) };
  };
  const leftOut = new LeftOutCounts();
  const warnings: string[] = [];
  const again = found - rows.length;
  leftOut.add(REASONS.sameLine, again);
  if (again > 0) warnings.push(`the ${found} lines of ${list} name ${rows.length} photos; each counts once`);
  const empty: Found = { source: list, expected: EXPECTED, isList: true, found, leftOut, warnings, splits: {} };
  const unlabelled = rows.filter(({ split }) => split === 'none').length;
  leftOut.add(REASONS.unlabelled, unlabelled);
  if (unlabelled > 0) warnings.push(`${unlabelled} photos of ${list} are there to be predicted, and are left out`);
  if (unlabelled > 0 && unlabelled === rows.length)
    return {
      ...empty,
      problem: new UserError(
        'no-photos',
        `the ${unlabelled} photos of ${list} are all there to be predicted, so that none trains; give them the split train, val or test`,
      ),
    };
  const [train, val, test] = [splitOf('train'), splitOf('val'), splitOf('test')];
  const isNamed = (split: typeof val) => split.classes.size > 0;
  return {
    ...empty,
    splits: {
      ...(isNamed(train) || (!isNamed(val) && !isNamed(test)) ? { train } : {}),
      ...(isNamed(val) || (hasSplits && !isNamed(test)) ? { val } : {}),
      ...(isNamed(test) ? { test } : {}),
    },
  };
}
