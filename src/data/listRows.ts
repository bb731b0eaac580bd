import { createReadStream } from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { UserError } from '../errors.js';
import { fileReason } from '../files.js';
import type { ListedFiles } from './listedFiles.js';
import { textOf } from './listText.js';
import { isPhotoName } from './photoTypes.js';
import { questionOf, type Role, roleIn, roleOf } from './splitNames.js';

const PATH_NAMES = [
  ...['path', 'file', 'filename', 'image'],
  ...['filepath', 'file_path', 'file_name', 'image_path', 'image_name', 'img_path'],
];
const LABEL_NAMES = ['label', 'class', 'class_name', 'label_name', 'category', 'category_name'];
/** What a column is called that may hold several labels of a photo. */
const SEVERAL_NAMES = ['labels', 'tags', 'classes', 'categories', 'label_names', 'finding labels', 'attribute_ids'];
/** What a column of paths is called where none of the others is there. */
const OTHER_PATH_NAMES = ['image_id', 'image index', 'img', 'image_file'];
const SPLIT_NAME = 'split';
/** Columns that tell splits where their first line does. */
const OTHER_SPLIT_NAMES = ['set', 'data set', 'data_set', 'dataset', 'subset', 'partition', 'phase'];
export const EXPECTED =
  'expected lines of path,label, or path,label,split with train, val or test, under a header or not';

/** The longest line that is read, in bytes: no list has longer ones, but a file that is no list might. */
const LONGEST_LINE = 100_000;

export interface Columns {
  readonly path: number;
  readonly label: number;
  readonly split: number | undefined;
  /** Whether the column of labels is called as one of several labels is. */
  readonly maySeveral?: boolean;
  /** The column that may tell splits, as its first line will show. */
  readonly perhapsSplit?: number;
  /** What a cell of the column of splits says; default by `roleOf`. */
  readonly readSplit?: (cell: string) => Role | undefined;
}

/** A line that names a photo. */
export interface ListedPhoto {
  readonly file: { readonly key: string; readonly path: string };
  /** The path as the line has it. */
  readonly path: string;
  readonly cells: readonly string[];
  readonly columns: Columns;
  readonly split: Role;
  readonly line: number;
  /** The error for this line. */
  readonly wrong: (what: string) => UserError;
}

/** How lines are read. */
export interface ListReading {
  readonly files: ListedFiles;
  /** Gets a line about what in the list is not read. */
  readonly warnings: string[];
  /** Whether each column but the path is one label, so that there is none of labels. */
  readonly isIndicators?: boolean;
}

/** The lines of a list that name photos, whose header is read. @throws UserError `bad-csv`, `no-such-file`. */
export async function* photosOfList(list: string, reading: ListReading): AsyncGenerator<ListedPhoto> {
  const { files, warnings, isIndicators = false } = reading;
  let columns: Columns | undefined;
  let named = false;
  for await (const { cells, line } of rowsOf(list)) {
    const wrong = (what: string) => badLine(list, line, what);
    if (!columns) {
      const header = headerOf(cells);
      columns = header ?? { path: 0, label: 1, split: cells.length > 2 ? 2 : undefined };
      if (columns.path < 0 || (columns.label < 0 && !isIndicators))
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
      const { perhapsSplit, ...others } = columns;
      columns = { ...others, split: isSplit ? perhapsSplit : undefined };
    }
    const expected = columns.split === undefined ? 2 : 3;
    if (named ? cells.length <= Math.max(columns.path, columns.label) : cells.length !== expected)
      throw wrong(`${cells.length} columns where ${expected} were expected; ${EXPECTED}`);
    const path = cells[columns.path] ?? '';
    if (path === '') throw wrong(`the path is empty; ${EXPECTED}`);
    const cell = columns.split === undefined ? 'train' : (cells[columns.split] ?? '');
    const split = (columns.readSplit ?? roleOf)(cell);
    if (split === undefined || (split === 'none' && columns.split === undefined))
      throw wrong(`expected the split to be train, val or test, got "${cell}"`);
    const file = await files.find(dirname(list), path);
    if (!file) throw wrong(`there is no file ${path} in ${dirname(list)}${named ? '' : `; ${EXPECTED}`}`);
    yield { file, path, cells, columns, split, line, wrong };
  }
}

/** @throws UserError `bad-csv` where a line gives a photo another split than a line before it. */
export function checkSplit(
  { path, split, wrong }: ListedPhoto,
  before: { readonly split: Role; readonly line: number },
): void {
  if (before.split !== split)
    throw wrong(
      `${path} is there to ${PURPOSES[split]} here and to ${PURPOSES[before.split]} in line ${before.line}; remove one of the lines`,
    );
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

/** Whether a column's name says that it parts the photos. */
export const namesParts = (name: string): boolean =>
  /(^|[^a-z])(folds?|splits?|kfold)([^a-z]|$)/i.test(name) || questionOf(name) !== undefined;

/** Gives a line for each column whose name says that it parts the photos, in a way that is not read. */
function unreadSplits(list: string, header: readonly string[]): string[] {
  return header
    .filter(namesParts)
    .map(
      (name) =>
        `the column "${name}" of ${list} is not read, so that a part of all photos validates; tell train, val and test in a column called ${SPLIT_NAME}`,
    );
}

const PURPOSES = { train: 'train', val: 'validate', test: 'test', none: 'predict' } as const;

/** The columns that a header names, −1 for one that it lacks; undefined where the first line is a photo already. */
export function headerOf(cells: readonly string[]): Columns | undefined {
  const names = cells.map((cell) => cell.toLowerCase());
  const find = (any: readonly string[]) => names.findIndex((name) => any.includes(name));
  const [usual, one, split] = [find(PATH_NAMES), find(LABEL_NAMES), names.indexOf(SPLIT_NAME)];
  const several = one < 0 && !cells.some(isPhotoName) ? find(SEVERAL_NAMES) : -1;
  const path = usual < 0 ? find(OTHER_PATH_NAMES) : usual;
  const label = one < 0 ? several : one;
  if (usual < 0 && label < 0 && (path < 0 || names.length < 3)) return undefined;
  const perhapsSplit = find(OTHER_SPLIT_NAMES);
  const columns = { path, label, ...(several < 0 ? {} : { maySeveral: true }) };
  if (split >= 0 || perhapsSplit < 0) return { ...columns, split: split < 0 ? undefined : split };
  return { ...columns, split: undefined, perhapsSplit };
}

/** What csv-parse says by its code, with what to do. */
const IN_OUR_WORDS: ReadonlyMap<string, string> = new Map([
  [
    'CSV_QUOTE_NOT_CLOSED',
    'the list ends within quotation marks, which were opened here or before; close them, or leave them out',
  ],
  [
    'INVALID_OPENING_QUOTE',
    'a quotation mark stands within a name; put the whole name in quotation marks, and write that one twice',
  ],
]);

export async function* rowsOf(list: string): AsyncGenerator<{ cells: string[]; line: number }> {
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
      throw badLine(list, line, IN_OUR_WORDS.get(cause.code) ?? cause.message.split(', value is')[0] ?? '');
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
export function badLine(list: string, line: number, what: string): UserError {
  return new UserError('bad-csv', `${list}, line ${line}: ${what.replaceAll(/\p{Cc}+/gu, ' ')}`);
}
