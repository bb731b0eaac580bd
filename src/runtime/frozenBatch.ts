import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.js';

/**
 * Images a run of the frozen part takes. Few at once stay in the processor's caches, many at once keep many cores busy; the
 * results are the same to the bit.
 */
const CANDIDATES = [1, 4, 16] as const;
/** Up to so many threads, 16 were never faster where it was tried, and trying them alone takes 200 MB. */
const FEW_THREADS = 4;
/** Where nothing was tried: on two cores with 32 MB of cache as fast as any, and a third less memory than with 16. */
const USUAL = 4;
/** How much slower a smaller size, which takes less memory, may be. */
const TOLERANCE = 1.1;
const FILE = 'frozen-batch.json';

export interface FrozenBatchOptions {
  /** Runs the frozen part on the first `size` of the images at hand. */
  readonly run: (size: number) => Promise<void>;
  /** Images at hand. */
  readonly count: number;
  /** The folder of the features, where what was found is remembered. */
  readonly folder: string | undefined;
  /** What the answer depends on, apart from what the features depend on too. */
  readonly key: string;
  readonly threads: number;
  /** Milliseconds of a clock. */
  readonly now?: () => number;
}

/** The size that this machine likes best: tried once on images that have to be run anyway, and remembered. */
export async function frozenBatch({
  run,
  count,
  folder,
  key,
  threads,
  now = () => performance.now(),
}: FrozenBatchOptions): Promise<number> {
  if (folder === undefined) return USUAL;
  const remembered = read(folder);
  const known = remembered[key];
  if (known !== undefined) return known;
  if (count < Math.max(...CANDIDATES)) return USUAL;
  const tried: { readonly size: number; readonly ms: number }[] = [];
  for (const size of threads > FEW_THREADS ? CANDIDATES : CANDIDATES.slice(0, 2)) {
    // The first run of a size allocates.
    await run(size);
    const began = now();
    for (let image = 0; image < count; image += size) await run(size);
    tried.push({ size, ms: now() - began });
  }
  const limit = TOLERANCE * Math.min(...tried.map(({ ms }) => ms));
  const size = tried.find(({ ms }) => ms <= limit)?.size ?? USUAL;
  await writeFileAtomically(join(folder, FILE), `${JSON.stringify({ ...remembered, [key]: size }, null, 2)}\n`);
  return size;
}

function read(folder: string): Record<string, number> {
  try {
    const found: unknown = JSON.parse(readFileSync(join(folder, FILE), 'utf8'));
    if (typeof found !== 'object' || found === null) return {};
    return Object.fromEntries(
      Object.entries(found).filter((entry): entry is [string, number] => CANDIDATES.some((size) => size === entry[1])),
    );
  } catch {
    return {};
  }
}
