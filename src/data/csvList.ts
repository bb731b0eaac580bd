import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CsvError, parse } from 'csv-parse';
import { messageOf, UserError } from '../errors.js';
import { type Dataset, datasetOf, type OpenOptions, VAL_NAMES } from './dataset.js';

const PATH_NAMES = ['path', 'file', 'filename', 'image'];
const LABEL_NAMES = ['label', 'class'];
const SPLIT_NAME = 'split';
const LAYOUT = 'expected lines of path,label, or path,label,split with train or val, under a header or not';

/** In bytes; no list has longer ones, but a file that is no list might. */
const LONGEST_LINE = 100_000;

interface Columns {
  readonly path: number;
  readonly label: number;
  readonly split: number | undefined;
}

/**
 * Opens a list of photos, CSV: `path,label` or `path,label,split` (`train`, `val`), in that order, or in any order under a header.
 * Paths are relative to the list. Classes are sorted by code unit.
 * @throws UserError `bad-csv` with the line, `no-such-file` for the list, and what `datasetOf` throws.
 */
export async function openCsv(list: string, options: OpenOptions): Promise<Dataset> {
  const splits = { train: new Map<string, { path: string }[]>(), val: new Map<string, { path: string }[]>() };
  let columns: Columns | undefined;
  let named = false;
  for await (const { cells, line } of rowsOf(list)) {
    const wrong = (what: string) => badLine(list, line, what);
    if (!columns) {
      const header = headerOf(cells);
      columns = header ?? { path: 0, label: 1, split: cells.length > 2 ? 2 : undefined };
      if (columns.path < 0 || columns.label < 0)
        throw wrong(`no column "${columns.path < 0 ? 'path' : 'label'}" in the header ${cells.join(',')}; ${LAYOUT}`);
      named = header !== undefined;
      if (named) continue;
    }
    const expected = columns.split === undefined ? 2 : 3;
    if (named ? cells.length <= Math.max(columns.path, columns.label) : cells.length !== expected)
      throw wrong(`${cells.length} columns where ${expected} were expected; ${LAYOUT}`);
    const [path = '', label = ''] = [cells[columns.path], cells[columns.label]];
    if (path === '' || label === '') throw wrong(`the ${path === '' ? 'path' : 'label'} is empty; ${LAYOUT}`);
    const split = columns.split === undefined ? 'train' : (cells[columns.split] ?? '').toLowerCase();
    const validates = VAL_NAMES.includes(split);
    if (!validates && split !== 'train') throw wrong(`expected the split to be train or val, got "${split}"`);

    const file = resolve(dirname(list), path);
    const isFile = await stat(file).then(
      (found) => found.isFile(),
      () => false,
    );
    if (!isFile) throw wrong(`there is no file ${path} in ${dirname(list)}${named ? '' : `; ${LAYOUT}`}`);
    const photos = validates ? splits.val : splits.train;
    const others = photos.get(label);
    if (others) others.push({ path: file });
    else photos.set(label, [{ path: file }]);
  }
  const sorted = (photos: typeof splits.train) => new Map([...photos].sort(([a], [b]) => (a < b ? -1 : 1)));
  return datasetOf(
    {
      source: list,
      layout: LAYOUT,
      train: sorted(splits.train),
      val: columns?.split === undefined ? undefined : sorted(splits.val),
    },
    options,
  );
}

/** undefined where the first line is a photo already; −1 for a column that the header lacks. */
function headerOf(cells: readonly string[]): Columns | undefined {
  const names = cells.map((cell) => cell.toLowerCase());
  const find = (any: readonly string[]) => names.findIndex((name) => any.includes(name));
  const [path, label, split] = [find(PATH_NAMES), find(LABEL_NAMES), names.indexOf(SPLIT_NAME)];
  if (path < 0 && label < 0) return undefined;
  return { path, label, split: split < 0 ? undefined : split };
}

async function* rowsOf(list: string): AsyncGenerator<{ cells: string[]; line: number }> {
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: LONGEST_LINE,
    info: true,
  });
  const source = createReadStream(list);
  source.once('error', (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>)
      yield { cells: record, line: info.lines };
  } catch (cause) {
    if (cause instanceof CsvError) {
      const line = typeof cause['lines'] === 'number' ? cause['lines'] : parser.info.lines;
      // What it quotes of the list may be long.
      throw badLine(list, line, cause.message.split(', value is')[0] ?? '');
    }
    if (cause instanceof UserError) throw cause;
    throw new UserError('no-such-file', `cannot read ${list}: ${messageOf(cause)}`, { cause });
  } finally {
    source.destroy();
  }
}

/** In one line, whatever the list holds. */
function badLine(list: string, line: number, what: string): UserError {
  return new UserError('bad-csv', `${list}, line ${line}: ${what.replaceAll(/\p{Cc}+/gu, ' ')}`);
}
