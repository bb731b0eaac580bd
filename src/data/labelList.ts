import { createReadStream } from 'node:fs';
import { UserError } from '../errors.js';
import type { Found } from './dataset.js';
import { type FoundLabels, labelledSplits, sortedNames } from './foundLabels.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import { ListedFiles } from './listedFiles.js';
import { checkSplit, type Columns, headerOf, type ListedPhoto, namesParts, photosOfList, rowsOf } from './listRows.js';
import type { Unlabelled } from './photo.js';
import type { Role } from './splitNames.js';

const EXPECTED =
  'expected lines of path,label1|label2, with a third column of train, val or test or none, or a header and a column of 0 and 1 for each label';
/** What stands in a column that is one label. */
const YES = /^\+?(1|1\.0+|true)$/i;
const NO = /^(0|0\.0+|false)$/i;
/** CelebA has it for no. */
const MINUS = /^-1(\.0+)?$/;
/** Columns of numbers that are no labels. */
const COUNTING = /^(|id|index|idx|no|number|unnamed.*)$/i;
const WHITESPACE = /\s+/;

/** How a list tells the labels of a photo. */
type Writing =
  | { readonly kind: 'indicators'; readonly columns: ReadonlyMap<number, string>; readonly unread: readonly string[] }
  | { readonly kind: 'cells'; readonly separator: string | RegExp | undefined; readonly isGuessed: boolean };

/**
 * What a list names whose photos have any number of labels: in a column, with `|`, `;` or, under a header such as `tags`, commas or spaces
 * between them, or in a column of 0 and 1 for each label. A photo that several lines name has the labels of all; one without labels counts.
 * @returns undefined where `task` is `auto` and the list tells one class of each photo.
 * @throws UserError `bad-csv` with the line, `no-such-file`.
 */
export async function findLabelsInList(list: string, task: 'auto' | 'labels'): Promise<Found | undefined> {
  const writing = await writingOf(list, task);
  if (!writing) return undefined;
  const warnings: string[] = [];
  const reading = { files: new ListedFiles(), warnings, isIndicators: writing.kind === 'indicators' };
  const rows = new Map<
    string,
    { readonly photo: Unlabelled; readonly labels: Set<string>; readonly split: Role; readonly line: number }
  >();
  const read = writing.kind === 'cells' ? ofCell(writing.separator) : ofIndicators(writing.columns);
  let [found, hasSplits] = [0, false];
  for await (const each of photosOfList(list, reading)) {
    const { file, columns, split, line } = each;
    hasSplits = columns.split !== undefined;
    found++;
    const labels = read(each);
    const before = rows.get(file.key);
    if (before) checkSplit(each, before);
    else rows.set(file.key, { photo: { path: file.path }, labels: new Set(labels), split, line });
    for (const label of labels) before?.labels.add(label);
  }
  const photos = [...rows.values()].map(({ labels, ...row }) => ({ ...row, labels: [...labels] }));
  const names =
    writing.kind === 'cells' ? sortedNames(photos.flatMap(({ labels }) => labels)) : [...writing.columns.values()];
  if (task === 'auto' && writing.kind === 'cells' && writing.isGuessed)
    warnings.push(
      `${list} is taken for a list of several labels a photo, with ${writing.separator === WHITESPACE ? 'spaces' : `"${String(writing.separator)}"`} between them: ${names.length} labels; ‹task› classes takes each cell for one class`,
    );
  if (writing.kind === 'indicators' && writing.unread.length > 0)
    warnings.push(
      `columns of ${list} that do not hold 0 and 1 are not read: ${writing.unread.map((name) => `"${name}"`).join(', ')}`,
    );
  return foundOf(list, { photos, names, found, hasSplits, warnings });
}

interface ReadList {
  readonly photos: readonly { photo: Unlabelled; labels: readonly string[]; split: Role }[];
  readonly names: readonly string[];
  readonly found: number;
  readonly hasSplits: boolean;
  readonly warnings: string[];
}

function foundOf(list: string, { photos, names, found, hasSplits, warnings }: ReadList): Found {
  const leftOut = new LeftOutCounts();
  const again = found - photos.length;
  leftOut.add(REASONS.sameLine, again);
  if (again > 0)
    warnings.push(`the ${found} lines of ${list} name ${photos.length} photos; each has the labels of all`);
  const aside = photos.filter(({ split }) => split === 'none').length;
  leftOut.add(REASONS.unlabelled, aside);
  if (aside > 0) warnings.push(`${aside} photos of ${list} are there to be predicted, and are left out`);
  const labels: FoundLabels = { names, splits: labelledSplits(list, photos, hasSplits) };
  return { source: list, expected: EXPECTED, isList: true, found, leftOut, warnings, splits: {}, labels };
}

/** What reads the labels of a line from the columns that are one label each. */
function ofIndicators(columns: ReadonlyMap<number, string>): (line: ListedPhoto) => string[] {
  let zero: number | undefined;
  let minus: number | undefined;
  return ({ cells, line, wrong }) =>
    [...columns].flatMap(([column, name]) => {
      const cell = cells[column] ?? '';
      if (YES.test(cell)) return [name];
      if (!NO.test(cell) && !MINUS.test(cell))
        throw wrong(`expected 0 or 1 in the column "${name}", got "${cell}"; correct it, or remove the column`);
      if (NO.test(cell)) zero ??= line;
      else minus ??= line;
      if (zero !== undefined && minus !== undefined)
        throw wrong(
          `expected 0 or 1 in the column "${name}", got "${cell}", while line ${Math.min(zero, minus)} has ${zero < minus ? '0' : '-1'} for no; nobody knows what both mean`,
        );
      return [];
    });
}

/** What reads the labels of a line from its cell of labels. */
function ofCell(separator: string | RegExp | undefined): (line: ListedPhoto) => string[] {
  return ({ cells, columns }) => namesIn(cells[columns.label] ?? '', separator);
}

function namesIn(cell: string, separator: string | RegExp | undefined): string[] {
  const parts = separator === undefined ? [cell] : cell.split(separator);
  return parts.map((name) => name.trim().normalize('NFC')).filter((name) => name !== '');
}

/** How labels are written in a list; undefined where each photo has one class. */
async function writingOf(list: string, task: 'auto' | 'labels'): Promise<Writing | undefined> {
  let header: Columns | undefined;
  let [first, isFirst] = [new Array<string>(), true];
  let cells: CellsSeen | undefined;
  for await (const row of rowsOf(list)) {
    if (isFirst) {
      isFirst = false;
      header = headerOf(row.cells);
      first = row.cells;
      const isIndicators = header && header.path >= 0 && header.label < 0;
      if (!isIndicators && task === 'auto' && !header?.maySeveral && !(await hasSeparators(list))) return undefined;
      if (!isIndicators) cells = new CellsSeen();
      if (header) continue;
    }
    if (!cells) return indicatorsOf(first, header, row.cells);
    cells.see(row.cells[header?.label ?? 1] ?? '');
  }
  return cells?.writing(task, header?.maySeveral ?? false);
}

/** Which columns are one label each, by what the first photo has there. */
function indicatorsOf(
  header: readonly string[],
  columns: Columns | undefined,
  row: readonly string[],
): Writing | undefined {
  const others = header
    .map((name, column) => ({ name: name.normalize('NFC'), column }))
    .filter(
      ({ name, column }) =>
        column !== columns?.path &&
        column !== columns?.split &&
        column !== columns?.perhapsSplit &&
        !COUNTING.test(name) &&
        !namesParts(name),
    );
  const isOne = ({ column }: { column: number }) => [YES, NO, MINUS].some((form) => form.test(row[column] ?? ''));
  const labels = others.filter(isOne);
  if (labels.length === 0) return undefined;
  const unread = others.filter((each) => !isOne(each)).map(({ name }) => name);
  return { kind: 'indicators', columns: new Map(labels.map(({ name, column }) => [column, name])), unread };
}

/** What the cells of a column of labels have in common. */
class CellsSeen {
  private readonly cells = new Set<string>();
  private readonly words = new Set<string>();

  see(cell: string): void {
    if (this.cells.has(cell)) return;
    this.cells.add(cell);
    for (const word of cell.split(WHITESPACE)) this.words.add(word);
  }

  writing(task: 'auto' | 'labels', maySeveral: boolean): Writing | undefined {
    const has = (mark: string) => [...this.cells].some((cell) => cell.includes(mark));
    for (const mark of ['|', ';', ...(maySeveral || task === 'labels' ? [','] : [])])
      if (has(mark)) return { kind: 'cells', separator: mark, isGuessed: !maySeveral };
    // Names of two words would give more words than there are names.
    const isSpaced = [...this.cells].some((cell) => WHITESPACE.test(cell)) && this.words.size <= this.cells.size;
    if (maySeveral && isSpaced) return { kind: 'cells', separator: WHITESPACE, isGuessed: true };
    return task === 'labels' ? { kind: 'cells', separator: undefined, isGuessed: false } : undefined;
  }
}

/** Whether a list has marks anywhere that may stand between labels: most lists have none, and need not be looked through. */
async function hasSeparators(list: string): Promise<boolean> {
  const source = createReadStream(list);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>)
      if (chunk.includes('|') || chunk.includes(';')) return true;
    return false;
  } catch (cause) {
    throw new UserError('no-such-file', `cannot read ${list}`, { cause });
  } finally {
    source.destroy();
  }
}
