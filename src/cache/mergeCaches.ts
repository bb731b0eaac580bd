import { existsSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { UserError } from '../errors.js';
import { fileReason, isSameFile } from '../files.js';
import { checkSpace } from './cacheFolder.js';
import { FeatureStore, type Layout, LAYOUT_FILE, readLayout, rowBytesOf, storeFolder } from './featureStore.js';
import { readSegment, ROWS, type SegmentIndex, segmentsIn } from './segment.js';
import { readAll } from './vectored.js';

/** What became of the rows of one store of a cache. */
export interface MergedStore {
  /** The name of its folder, the same in both caches. */
  readonly name: string;
  /** The cache that it came from. */
  readonly from: string;
  readonly model: string;
  readonly policy: string;
  /** Rows that were added, that were there already, and that are not what was written: those are left out. */
  readonly added: number;
  readonly known: number;
  readonly damaged: number;
}

/** A store whose rows are to be added. */
interface Source {
  readonly from: string;
  readonly name: string;
  readonly layout: Layout;
}

/** What was merged. */
export interface MergedCaches {
  readonly stores: readonly MergedStore[];
  /** Folders whose layout is damaged, or of another version: nobody knows what their rows are. */
  readonly unreadable: readonly string[];
}

/** How many rows of a store were looked at. */
export interface MergeProgress {
  readonly store: string;
  readonly done: number;
  readonly total: number;
}

/** Rows that are looked at between two looks at the signal. */
const ROWS_AT_ONCE = 256;

/**
 * Adds to the cache `to` the rows of other caches that it lacks; each kind of features stays in a folder of its own. The others are only
 * read. What was added before it fails, or is stopped, stays.
 * @throws UserError `no-such-file` for what is no folder, `bad-arguments` for `to` itself, `cache-full`, `stopped`.
 */
export async function* mergeCaches(
  froms: readonly string[],
  to: string,
  signal?: AbortSignal,
): AsyncGenerator<MergeProgress, MergedCaches> {
  const folders = froms.flatMap((from) => storesIn(from, to));
  const sources = folders.map(({ from, name }) => ({ from, name, layout: readLayout(join(from, name)) }));
  const stores: MergedStore[] = [];
  for (const { from, name, layout } of sources)
    if (layout) stores.push(yield* mergeStore({ from, name, layout }, to, signal));
  return { stores, unreadable: sources.flatMap(({ from, name, layout }) => (layout ? [] : join(from, name))) };
}

/** The folders of a cache that say what they hold. */
function storesIn(from: string, to: string): Omit<Source, 'layout'>[] {
  if (isSameFile(from, to) || resolve(from) === resolve(to))
    throw new UserError('bad-arguments', `${from} is the cache that rows are added to; name others to take them from`);
  let names: string[];
  try {
    names = readdirSync(from).sort();
  } catch (cause) {
    throw new UserError(
      'no-such-file',
      `${from} is no folder that can be read (${fileReason(cause)}); name the folder of a feature cache`,
      { cause },
    );
  }
  return names.filter((name) => existsSync(join(from, name, LAYOUT_FILE))).map((name) => ({ from, name }));
}

async function* mergeStore(
  { from, name, layout }: Source,
  to: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<MergeProgress, MergedStore> {
  const folder = join(from, name);
  const rowBytes = rowBytesOf(layout);
  const segments = segmentsIn(folder).flatMap((segment) => {
    const index = readSegment(folder, segment, rowBytes);
    return index === 'vanished' ? [] : [{ path: join(folder, segment + ROWS), ...index }];
  });
  const keys = new Set(segments.flatMap((each) => each.keys));
  await checkSpace(to, 0);
  const store = await FeatureStore.open(storeFolder(to, layout), layout);
  try {
    const lacking = [...keys].filter((key) => !store.find(key)).length;
    await checkSpace(to, lacking * rowBytes);
    let [added, done] = [0, 0];
    const total = segments.reduce((sum, each) => sum + each.keys.length, 0);
    for (const segment of segments)
      for (let first = 0; first < segment.keys.length; first += ROWS_AT_ONCE) {
        if (signal?.aborted) throw new UserError('stopped', `stopped; the rows that were added to ${to} stay`);
        const until = Math.min(segment.keys.length, first + ROWS_AT_ONCE);
        added += await addRows(segment, { first, until, rowBytes }, store);
        done += until - first;
        yield { store: name, done, total };
      }
    const { model, policy } = layout;
    return { name, from, model, policy, added, known: keys.size - lacking, damaged: lacking - added };
  } finally {
    await store.close();
  }
}

/** Adds those rows of a segment, from `first` up to `until`, that a store lacks. Gives how many those are that are what was written. */
async function addRows(
  { path, keys, checksums }: SegmentIndex & { readonly path: string },
  { first, until, rowBytes }: { readonly first: number; readonly until: number; readonly rowBytes: number },
  store: FeatureStore,
): Promise<number> {
  let added = 0;
  const file = await open(path);
  try {
    for (let row = first; row < until; row++) {
      const key = keys[row] ?? '';
      if (store.find(key)) continue;
      const content = Buffer.alloc(rowBytes);
      const bytes = await readAll(file.fd, [content], row * rowBytes).catch(() => 0);
      if (bytes < rowBytes || crc32(content) !== checksums[row]) continue;
      await store.append(key, [content]);
      added++;
    }
    return added;
  } finally {
    await file.close();
  }
}
