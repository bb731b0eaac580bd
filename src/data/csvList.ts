import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { UserError } from '../errors.js';
import { fileReason } from '../files.js';
import { type Dataset, datasetOf, type Found, type OpenOptions } from './dataset.js';
import type { Unlabelled } from './photo.js';
import { sortedClasses } from './sortedClasses.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import { textOf } from './listText.js';
import { isPhotoName } from './photoTypes.js';
import { questionOf, type Role, roleIn, roleOf } from './splitNames.js';

const PATH_NAMES = [
  ...['path', 'file', 'filename', 'image'],
  ...['filepath', 'file_path', 'file_name', 'image_path', 'image_name', 'img_path'],
];
const LABEL_NAMES = ['label', 'class', 'class_name', 'label_name', 'category', 'category_name'];
const SPLIT_NAME = 'split';
/** Columns that tell splits where their first line does. */
const OTHER_SPLIT_NAMES = ['set', 'data set', 'data_set', 'dataset', 'subset', 'partition', 'phase'];
const EXPECTED = 'expected lines of path,label, or path,label,split with train, val or test, under a header or not';

/** The longest line that is read, in bytes: no list has longer ones, but a file that is no list might. */
const LONGEST_LINE = 100_000;

interface Columns {
  readonly path: number;
  readonly label: number;
  readonly split: number | undefined;
  /** The column that may tell splits, as its first line will show. */
  readonly perhapsSplit?: number;
  /** What a cell of the column of splits says; default by `roleOf`. */
  readonly readSplit?: (cell: string) => Role | undefined;
}

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
  const files = new FileKeys();
  let columns: Columns | undefined;
  let named = false;
  let found = 0;
  const warnings: string[] = [];
  for await (const { cells, line } of rowsOf(list)) {
    const wrong = (what: string) => badLine(list, line, what);
    if (!columns) {
      const header = headerOf(cells);
      columns = header ?? { path: 0, label: 1, split: cells.length > 2 ? 2 : undefined };
      if (columns.path < 0 || columns.label < 0)
        throw wrong(`no column "${columns.path < 0 ? 'path' : 'label'}" in the header ${cells.join(',')}; ${EXPECTED}`);
      named = header !== undefined;
      if (named && columns.split === undefined && columns.perhapsSplit === undefined) {
        columns = { ...columns, ...(await splitColumnOf(list, cells, columns)) };
        if (columns.split === undefined) warnings.push(...unreadSplits(list, cells));
      }
      if (named) continue;
    }
    if (columns.perhapsSplit !== undefined) {
      const isSplit = roleOf(cells[columns.perhapsSplit] ?? '') !== undefined;
      columns = { path: columns.path, label: columns.label, split: isSplit ? columns.perhapsSplit : undefined };
    }
    const expected = columns.split === undefined ? 2 : 3;
    if (named ? cells.length <= Math.max(columns.path, columns.label) : cells.length !== expected)
      throw wrong(`${cells.length} columns where ${expected} were expected; ${EXPECTED}`);
    const path = cells[columns.path] ?? '';
    const label = (cells[columns.label] ?? '').normalize('NFC');
    if (path === '' || label === '') throw wrong(`the ${path === '' ? 'path' : 'label'} is empty; ${EXPECTED}`);
    const cell = columns.split === undefined ? 'train' : (cells[columns.split] ?? '');
    const split = (columns.readSplit ?? roleOf)(cell);
    if (split === undefined || (split === 'none' && columns.split === undefined))
      throw wrong(`expected the split to be train, val or test, got "${cell}"`);

    const file = await files.find(dirname(list), path);
    if (!file) throw wrong(`there is no file ${path} in ${dirname(list)}${named ? '' : `; ${EXPECTED}`}`);
    found++;
    const before = rows.get(file.key);
    if (!before) {
      rows.set(file.key, { photo: { path: file.path }, label, split, line });
      continue;
    }
    if (before.label !== label)
      throw wrong(
        `${path} is "${label}" here and "${before.label}" in line ${before.line}; a photo has one class, so correct one of the lines or remove both`,
      );
    if (before.split !== split)
      throw wrong(
        `${path} is there to ${PURPOSES[split]} here and to ${PURPOSES[before.split]} in line ${before.line}; remove one of the lines`,
      );
  }
  const whole = foundOf(list, [...rows.values()], found, columns?.split !== undefined);
  return { ...whole, warnings: [...warnings, ...whole.warnings] };
}

/**
 * The column, whatever it is called, each of whose cells says what its photo is for, and not all the same.
 * @throws UserError `bad-csv` where there are two.
 */
async function splitColumnOf(
  list: string,
  header: readonly string[],
  { path, label }: Columns,
): Promise<Pick<Columns, 'readSplit'> & { readonly split?: number }> {
  let candidates = header.flatMap((name, column) =>
    column === path || column === label
      ? []
      : [{ name, column, read: questionOf(name) ?? roleIn, roles: new Set<Role>() }],
  );
  let isHeader = true;
  for await (const { cells } of rowsOf(list)) {
    if (!isHeader)
      candidates = candidates.filter(({ column, read, roles }) => {
        const role = read(cells[column] ?? '');
        if (role !== undefined) roles.add(role);
        return role !== undefined;
      });
    isHeader = false;
    if (candidates.length === 0) return {};
  }
  const [first, second] = candidates.filter(({ roles }) => roles.size > 1);
  if (first && second)
    throw badLine(
      list,
      1,
      `the columns "${first.name}" and "${second.name}" both say what photos are for; call the right one ${SPLIT_NAME}`,
    );
  return first ? { split: first.column, readSplit: first.read } : {};
}

/** Gives a line for each column whose name says that it parts the photos, in a way that is not read. */
function unreadSplits(list: string, header: readonly string[]): string[] {
  return header
    .filter((name) => /(^|[^a-z])(folds?|splits?|kfold)([^a-z]|$)/i.test(name) || questionOf(name) !== undefined)
    .map(
      (name) =>
        `the column "${name}" of ${list} is not read, so that a part of all photos validates; tell train, val and test in a column called ${SPLIT_NAME}`,
    );
}

const PURPOSES = { train: 'train', val: 'validate', test: 'test', none: 'predict' } as const;

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

/** Files by what they are, however their paths are written. */
class FileKeys {
  /** Device and number of a file → the path that named it first. */
  private readonly known = new Map<string, { readonly path: string; real?: string }>();

  /** The file of a list in `folder`; undefined where there is none. */
  async find(folder: string, path: string): Promise<{ readonly key: string; readonly path: string } | undefined> {
    for (const written of writings(path)) {
      const file = resolve(folder, written);
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      if (!found?.isFile()) continue;
      const key = `${found.dev}:${found.ino}`;
      const first = this.known.get(key);
      if (!first) this.known.set(key, { path: file });
      else if (first.path !== file && found.nlink === 1n) {
        // Some file systems give numbers that are none.
        first.real ??= await realpath(first.path);
        const real = await realpath(file);
        if (real !== first.real) return { key: real, path: file };
      }
      return { key, path: file };
    }
    return undefined;
  }
}

/** A path as it is, as Windows would have written it, and in both forms of Unicode, since some systems change it. */
function writings(path: string): string[] {
  const slashes = path.replaceAll('\\', '/');
  return [...new Set([path, path.normalize('NFC'), path.normalize('NFD'), slashes, slashes.normalize('NFC')])];
}

/** The columns that a header names, −1 for one that it lacks; undefined where the first line is a photo already. */
function headerOf(cells: readonly string[]): Columns | undefined {
  const names = cells.map((cell) => cell.toLowerCase());
  const find = (any: readonly string[]) => names.findIndex((name) => any.includes(name));
  const [path, label, split] = [find(PATH_NAMES), find(LABEL_NAMES), names.indexOf(SPLIT_NAME)];
  if (path < 0 && label < 0) return undefined;
  const perhapsSplit = find(OTHER_SPLIT_NAMES);
  if (split >= 0 || perhapsSplit < 0) return { path, label, split: split < 0 ? undefined : split };
  return { path, label, split: undefined, perhapsSplit };
}

async function* rowsOf(list: string): AsyncGenerator<{ cells: string[]; line: number }> {
  const source = createReadStream(list);
  const text = textOf(source as AsyncIterable<Buffer>);
  try {
    const first = await text.next();
    const start = first.done ? '' : first.value;
    const parser = parse({
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      max_record_size: LONGEST_LINE,
      info: true,
      delimiter: delimiterOf(start),
    });
    const rest = Readable.from(joined(start, text));
    rest.once('error', (error) => parser.destroy(error));
    rest.pipe(parser);
    try {
      for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>)
        yield { cells: record, line: info.lines };
    } catch (cause) {
      if (!(cause instanceof CsvError)) throw cause;
      const line = typeof cause['lines'] === 'number' ? cause['lines'] : parser.info.lines;
      // The message quotes the list, which may be long.
      throw badLine(list, line, cause.message.split(', value is')[0] ?? '');
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    if (cause instanceof RangeError)
      throw badLine(list, Number(cause.message), 'is neither UTF-8 nor UTF-16; save the list as UTF-8');
    throw new UserError('no-such-file', `cannot read ${list}: ${fileReason(cause)}`, { cause });
  } finally {
    source.destroy();
  }
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  if (first !== '') yield first;
  for await (const each of rest) if (each !== '') yield each;
}

/** The mark that parts the first line of a list: the one that makes it a header or a photo's line, else the most frequent outside quotes. */
function delimiterOf(start: string): string {
  const line = /[^\r\n]+/.exec(start)?.[0] ?? '';
  const bare = line.replaceAll(/"[^"]*"/g, '');
  const counts = [',', ';', '\t'].map((mark) => ({ mark, count: bare.split(mark).length - 1 }));
  const some = counts.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  const fits = ({ mark }: { mark: string }) => {
    const cells = line.split(mark).map((cell) => cell.replaceAll('"', '').trim());
    return cells.some(isPhotoName) || headerOf(cells) !== undefined;
  };
  return (some.find(fits) ?? some[0])?.mark ?? ',';
}

/** The error for a line of a list, itself in one line, whatever the list holds. */
function badLine(list: string, line: number, what: string): UserError {
  return new UserError('bad-csv', `${list}, line ${line}: ${what.replaceAll(/\p{Cc}+/gu, ' ')}`);
}
