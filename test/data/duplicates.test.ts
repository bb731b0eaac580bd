import { expect, it } from 'vitest';
import { Duplicates } from '../../src/data/duplicates.js';
import { contentHash } from '../../src/data/readPhoto.js';

const photo = (path: string, label: number) => ({ path, label });

it('tells photos that are the same across splits and across classes, and counts those within', () => {
  const train = [photo('a/1', 0), photo('a/2', 0), photo('a/3', 0), photo('b/1', 1), photo('b/2', 1)];
  const val = [photo('a/8', 0), photo('b/9', 1), photo('b/10', 1)];
  // a/3 is a/1 again; b/2 is a/2; a/8 is a/1, b/9 is a/2 and b/2; the contents of one length differ.
  const contents = {
    'a/1': 'one',
    'a/2': 'two',
    'a/3': 'one',
    'b/1': 'six',
    'b/2': 'two',
    'a/8': 'one',
    'b/9': 'two',
    'b/10': 'ten',
  };
  const duplicates = new Duplicates();
  for (const each of [...train, ...val]) {
    duplicates.add(each, Buffer.from(contents[each.path as keyof typeof contents]));
    // A further view of it.
    duplicates.add(each, Buffer.from(contents[each.path as keyof typeof contents]));
  }
  const { counts, lines } = duplicates.find(train, val);
  expect(counts).toEqual({ acrossSplits: 2, acrossClasses: 2, again: 1 });
  expect(lines).toEqual([
    '2 of the photos that validate train too (a/8 is a/1, b/9 is a/2), so that the validation looks better than it is; remove one of each',
    '2 photos are in two classes (b/2 is a/2, b/9 is a/2); remove the wrong one of each',
  ]);
  expect(duplicates.find(train.slice(0, 1), val.slice(1)).lines).toEqual([]);
});

it('tells pixels of one length apart', () => {
  const duplicates = new Duplicates();
  const pictures = [1, 2, 1].map((value, at) => ({
    photo: photo(`x#${at}`, 0),
    pixels: new Uint8Array(3072).fill(value),
  }));
  for (const { photo: each, pixels } of pictures) duplicates.add(each, { pixels, width: 32, height: 32 });
  expect(
    duplicates.find(
      pictures.map((each) => each.photo),
      [],
    ).counts,
  ).toEqual({ acrossSplits: 0, acrossClasses: 0, again: 1 });
});

it('tells files apart by the hash that is known of each', () => {
  const duplicates = new Duplicates();
  const photos = ['one', 'two', 'one'].map((content, at) => ({ content: Buffer.from(content), ...photo(`${at}`, 0) }));
  // What the content says otherwise shows that it is not looked at.
  for (const each of photos) duplicates.add(each, Buffer.from('same'), contentHash(each.content));
  expect(duplicates.find(photos, []).counts).toEqual({ acrossSplits: 0, acrossClasses: 0, again: 1 });
});
