import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findClassPlaces } from '../../src/data/classPlaces.js';
import { openDataset } from '../../src/data/openDataset.js';
import { filesOf, writeAll } from './layoutCases.js';

/** Where the classes of a layout lie; `empty` are folders without anything. */
async function placesOf(layout: string, empty: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'ort-tl-places-'));
  if (layout !== '') writeAll(folder, filesOf(layout));
  for (const each of empty) mkdirSync(join(folder, each), { recursive: true });
  const dataset = await openDataset(folder, { use: 'measuring' }).catch(() => undefined);
  const { roots, folders, newPhotos, hasSplitsInClasses } = await findClassPlaces(folder, dataset);
  return { roots, folders: Object.fromEntries(folders), newPhotos: Object.fromEntries(newPhotos), hasSplitsInClasses };
}

describe('where classes lie', () => {
  it('is the folder itself where there are no splits, also for a class without photos', async () => {
    expect(await placesOf('cat*3 dog/deep*2', ['bird', '.hidden', 'docs', '@eaDir'])).toEqual({
      roots: [''],
      folders: { cat: ['cat'], dog: ['dog'], bird: ['bird'], docs: ['docs'] },
      newPhotos: { cat: 'cat', dog: 'dog', bird: 'bird', docs: 'docs' },
      hasSplitsInClasses: false,
    });
  });

  it('leaves out what stands beside classes', async () => {
    expect((await placesOf('cat*3 dog*3 docs/readme.txt labels/x.txt')).folders).toEqual({
      cat: ['cat'],
      dog: ['dog'],
    });
  });

  it('is each split, and new photos train', async () => {
    expect(await placesOf('val/cat*2 val/dog*2 training/cat*3 training/dog*3', ['test', 'training/bird'])).toEqual({
      roots: ['training', 'val', 'test'],
      folders: { cat: ['training/cat', 'val/cat'], dog: ['training/dog', 'val/dog'], bird: ['training/bird'] },
      newPhotos: { cat: 'training/cat', dog: 'training/dog', bird: 'training/bird' },
      hasSplitsInClasses: false,
    });
  });

  it('is below a folder round all, though a class is called as that', async () => {
    const { roots, folders } = await placesOf('cat/cat*3 cat/dog*3');
    expect([roots, folders]).toEqual([['cat'], { cat: ['cat/cat'], dog: ['cat/dog'] }]);
  });

  it('may be folders with splits in them', async () => {
    const { newPhotos, hasSplitsInClasses } = await placesOf('cat/train*3 cat/test*1 dog/Training*2 dog/test*1');
    expect([newPhotos, hasSplitsInClasses]).toEqual([{ cat: 'cat/train', dog: 'dog/Training' }, true]);
  });

  it('is told by empty folders where there are no photos', async () => {
    expect((await placesOf('', ['cat', 'dog'])).newPhotos).toEqual({ cat: 'cat', dog: 'dog' });
    expect(await placesOf('', ['val/cat', 'train/cat'])).toMatchObject({
      roots: ['train', 'val'],
      newPhotos: { cat: 'train/cat' },
    });
    expect((await placesOf('')).roots).toEqual(['']);
  });
});
