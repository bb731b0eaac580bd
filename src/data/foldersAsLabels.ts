import { stat } from 'node:fs/promises';
import { sha256 } from '../files.js';
import type { Found, FoundSplit } from './dataset.js';
import { openablePath } from './fileNames.js';
import type { FoundLabels, LabelledSplit } from './foundLabels.js';
import { LeftOutCounts, REASONS } from './leftOut.js';
import type { Unlabelled } from './photo.js';
import { readPhoto } from './readPhoto.js';

/** Files that are looked at together. */
const AT_ONCE = 64;

/**
 * Class folders as labels: a photo whose content lies in several of them, as a copy or a link, is one with all of their labels. What has
 * a problem has it still.
 */
export async function foldersAsLabels(found: Found): Promise<Found> {
  const leftOut = new LeftOutCounts(found.leftOut);
  const splits: { -readonly [Split in keyof FoundLabels['splits']]: LabelledSplit } = {};
  const names = new Set<string>();
  for (const split of ['train', 'val', 'test'] as const) {
    const own = found.splits[split];
    if (!own) continue;
    for (const name of own.classes.keys()) names.add(name);
    const { photos, again } = await merged(own);
    leftOut.add(REASONS.sameContent, again);
    splits[split] = { source: own.source, photos };
  }
  return { ...found, leftOut, splits: {}, labels: { names: [...names], splits } };
}

/** The photos of a split, each once, and how many were there again. */
async function merged({ classes }: FoundSplit): Promise<{ photos: LabelledSplit['photos']; again: number }> {
  const placed = [...classes].flatMap(([label, photos]) => photos.map((photo) => ({ photo, label })));
  const sizes: (number | undefined)[] = [];
  for (let at = 0; at < placed.length; at += AT_ONCE)
    sizes.push(...(await Promise.all(placed.slice(at, at + AT_ONCE).map(({ photo }) => sizeOf(photo)))));
  const counts = new Map<number, number>();
  for (const size of sizes) if (size !== undefined) counts.set(size, (counts.get(size) ?? 0) + 1);
  const byContent = new Map<string, { readonly photo: Unlabelled; readonly labels: Set<string> }>();
  for (const [index, { photo, label }] of placed.entries()) {
    const size = sizes[index];
    // Of a size of its own it is like no other.
    const key = size !== undefined && (counts.get(size) ?? 0) > 1 ? await contentOf(photo, index) : String(index);
    const before = byContent.get(key);
    if (before) before.labels.add(label);
    else byContent.set(key, { photo, labels: new Set([label]) });
  }
  const photos = [...byContent.values()].map(({ photo, labels }) => ({ photo, labels: [...labels] }));
  return { photos, again: placed.length - photos.length };
}

/** Bytes of a photo's file; undefined where it has none of its own, or cannot be read. */
async function sizeOf(photo: Unlabelled): Promise<number | undefined> {
  const { inside } = photo;
  if (inside) return inside.kind === 'zip' ? inside.bytes : undefined;
  const found = await stat(openablePath(photo)).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

async function contentOf(photo: Unlabelled, index: number): Promise<string> {
  try {
    const content = await readPhoto(photo);
    return Buffer.isBuffer(content) ? sha256(content) : String(index);
  } catch {
    // Whoever reads it later says why it cannot be.
    return String(index);
  }
}
