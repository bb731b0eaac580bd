import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDataset } from '../../../src/data/openDataset.js';
import { Random } from '../../../src/random.js';
import { addsUp, JPEG, link, membersOf, writeAll, zipOf } from '../layoutCases.js';

const CASES = 500;

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-layouts-'))));
afterAll(() => rm(folder, { recursive: true }));

type Split = 'train' | 'val' | 'test';
const SPLIT_NAMES: Record<Split, readonly string[]> = {
  train: ['train', 'Training', 'training_set', 'train-set', 'seg_train', 'trainset', 'TRAIN', 'train2017', 'TrainData'],
  val: ['val', 'valid', 'Validation', 'validation_set', 'dev', 'seg_val', 'VAL', 'val set', 'val2017'],
  test: ['test', 'Testing', 'test_set', 'seg_test', 'testset', 'TEST', 'Test Images'],
};
const ORDINARY = ['cat', 'dog', 'Käse', '日本', 'a b', 'x.y', 'café', 'train station', 'test tube', 'images'];
const LIKE_SPLITS = ['train', 'test', 'val', 'Train', 'dev'];
const PHOTO_NAMES = [
  '1.jpg',
  '2.JPG',
  '3.jfif',
  '4.png',
  'five',
  '6.jpg?w=640',
  '7.jpg.1',
  '8.webp',
  'ñ.jpeg',
  '9.tiff',
];
const OTHERS = ['a.heic', 'b.bmp', 'c.txt', 'd.HEIC', 'e.json', 'noext', 'f.xyz'];
const OTHER_KINDS = ['.heic', '.bmp', '.txt', '.heic', '.json', 'no extension', '.xyz'];
const SYSTEM: readonly (readonly [string, string])[] = [
  ['.DS_Store', 'system files'],
  ['Thumbs.db', 'system files'],
  ['._1.jpg', 'system files'],
  ['__MACOSX/x.jpg', 'system files'],
  ['$RECYCLE.BIN/y.jpg', 'system files'],
  ['@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg', 'thumbnails'],
  ['.thumbnails/1.jpg', 'thumbnails'],
  ['.hidden/1.jpg', 'hidden files'],
  ['.ipynb_checkpoints/1-checkpoint.jpg', 'system files'],
];

/** Files whose reading is known, because they were laid out by it. */
class Built {
  readonly files = new Map<string, Buffer>();
  readonly links: (readonly [target: string, path: string])[] = [];
  readonly members: Record<Split, Record<string, string[]>> = { train: {}, val: {}, test: {} };
  readonly leftOut: Record<string, number> = {};
  found = 0;
  reachesOut = false;

  add(path: string, content = JPEG): void {
    this.files.set(path, content);
    this.found++;
  }

  leave(path: string, reason: string, content = JPEG): void {
    if (this.files.has(path)) return;
    this.add(path, content);
    this.count(reason);
  }

  count(reason: string): void {
    this.leftOut[reason] = (this.leftOut[reason] ?? 0) + 1;
  }

  member(split: Split, name: string, path: string): void {
    (this.members[split][name] ??= []).push(path);
  }
}

function classNames(random: Random, hasSplits: boolean): string[] {
  const names = random.shuffle([...ORDINARY]).slice(0, 2 + random.integer(3));
  // One that is called like a split is a class beside ordinary ones, or inside a split.
  if (random.integer(3) === 0) names.push(random.shuffle([...LIKE_SPLITS])[0] ?? '');
  return hasSplits || names.length > 2 ? names : [...names, 'zebra'];
}

function build(random: Random, isZip: boolean): Built {
  const built = new Built();
  const chance = (one: number) => random.integer(one) === 0;
  const pick = <T>(all: readonly T[]): T => random.shuffle([...all])[0] as T;
  const modes: readonly (readonly Split[])[] = [
    [],
    ['train', 'val'],
    ['train', 'test'],
    ['train', 'val', 'test'],
    ['train'],
  ];
  const mode = pick(modes);
  const names = classNames(random, mode.length > 0);
  const wrappers = random.shuffle(['photos 2024', 'a', 'my set', 'é']).slice(0, random.integer(3));
  const top = wrappers.map((name) => `${name}/`).join('');
  const junk = (at: string) => {
    if (chance(3)) {
      const [name, reason] = pick(SYSTEM);
      built.leave(`${at}${name}`, reason);
    }
    if (chance(4)) {
      const which = random.integer(OTHERS.length);
      built.leave(`${at}${OTHERS[which] ?? ''}`, OTHER_KINDS[which] ?? '', Buffer.from('not a photo'));
    }
  };
  for (let depth = 0; depth <= wrappers.length; depth++) {
    const at = wrappers
      .slice(0, depth)
      .map((name) => `${name}/`)
      .join('');
    junk(at);
    if (chance(4)) built.leave(`${at}cover.jpg`, 'beside the class folders');
  }
  const fill = (at: string, split: Split, some: readonly string[]) => {
    junk(at);
    for (const name of some) {
      // Two forms of one name are one class.
      const forms = chance(5) ? ['NFC', 'NFD'] : [pick(['NFC', 'NFD'])];
      for (const form of new Set(forms.map((each) => name.normalize(each)))) {
        const inside = `${at}${form}/`;
        for (const photo of random.shuffle([...PHOTO_NAMES]).slice(0, 2 + random.integer(4))) {
          const path = `${inside}${chance(4) ? 'deep/er/' : ''}${photo}`;
          built.add(path);
          built.member(split, name, path);
        }
        junk(inside);
        if (!isZip && chance(6)) {
          built.links.push(['nowhere', `${inside}broken.jpg`]);
          built.found++;
          built.count('broken links');
        }
        if (!isZip && chance(6)) {
          built.links.push(['..', `${inside}circle`]);
          built.found++;
          built.count('links to folders that are counted already');
        }
        // A photo, and a folder of two, that lie elsewhere; once, since a folder that is reached twice counts once.
        if (!isZip && chance(6) && !built.reachesOut) {
          built.reachesOut = true;
          built.links.push([join(folder, 'outside', '1.jpg'), `${inside}linked.jpg`]);
          built.links.push([join(folder, 'outside', 'pool'), `${inside}more`]);
          built.found += 3;
          for (const photo of ['linked.jpg', 'more/2.jpg', 'more/3.jpg'])
            built.member(split, name, `${inside}${photo}`);
        }
      }
    }
  };
  if (mode.length === 0) fill(top, 'train', names);
  for (const split of mode) {
    const name = pick(SPLIT_NAMES[split]);
    const inner = chance(4) ? `${name}/` : '';
    // The photos to validate with may lack a class, not all of them.
    const some = split === 'train' ? names : names.slice(0, Math.max(1, names.length - random.integer(2)));
    fill(`${top}${name}/${inner}`, split, some);
  }
  if (mode.length === 1 && chance(2)) built.leave(`${top}test/1.jpg`, 'without a class');
  if (mode.length > 1 && chance(3)) built.leave(`${top}seg_pred/1.jpg`, 'without a class');
  return built;
}

/** A list of the photos that were laid out, by other paths for the same files and other separators and encodings. */
function listOf(built: Built, random: Random): { text: Buffer; again: number } {
  const pick = <T>(all: readonly T[]): T => random.shuffle([...all])[0] as T;
  const mark = pick([',', ';', '\t']);
  const hasSplits = Object.keys(built.members.val).length + Object.keys(built.members.test).length > 0;
  const lines: string[] = [];
  let again = 0;
  for (const split of ['train', 'val', 'test'] as const)
    for (const [name, paths] of Object.entries(built.members[split]))
      for (const path of paths) {
        const line = (written: string) =>
          [
            `"${written}"`,
            `"${name.normalize(pick(['NFC', 'NFD']))}"`,
            ...(hasSplits ? [pick(SPLIT_NAMES[split])] : []),
          ].join(mark);
        lines.push(line(`data/${path}`));
        if (random.integer(4) === 0) {
          again++;
          lines.push(line(pick([`./data/${path}`, `data/../data/${path}`, join(folder, 'case', 'data', path)])));
        }
      }
  const header = ['path', 'label', ...(hasSplits ? ['split'] : [])].join(mark);
  const text = [...(random.integer(2) === 0 ? [header] : []), ...random.shuffle(lines)].join(pick(['\n', '\r\n']));
  const bytes = pick([Buffer.from(text), Buffer.from(`\ufeff${text}`), Buffer.from(`\ufeff${text}`, 'utf16le')]);
  return { text: bytes, again };
}

it(`reads ${CASES} layouts as they were made, and accounts for every file`, async () => {
  writeAll(join(folder, 'outside'), new Map(['1.jpg', 'pool/2.jpg', 'pool/3.jpg'].map((name) => [name, JPEG])));
  for (let seed = 0; seed < CASES; seed++) {
    const random = new Random(seed);
    const kind = ['folder', 'zip', 'list'][seed % 3] ?? '';
    const built = build(random, kind === 'zip');
    const at = join(folder, 'case');
    let source = join(at, 'data');
    mkdirSync(source, { recursive: true });
    let expected: { leftOut: Record<string, number>; found: number } = built;
    if (kind === 'zip') {
      source = join(at, 'data.zip');
      writeFileSync(source, zipOf(built.files));
    } else {
      writeAll(source, built.files);
      for (const [target, path] of built.links) link(target, join(source, path));
    }
    if (kind === 'list') {
      const { text, again } = listOf(built, random);
      source = join(at, 'list.csv');
      writeFileSync(source, text);
      // Only what it names counts.
      expected = { leftOut: again > 0 ? { 'lines that name a photo again': again } : {}, found: NaN };
    }
    const where = `seed ${seed}, a ${kind} of ${[...built.files.keys()].slice(0, 12).join(', ')}`;
    const dataset = await openDataset(source, { seed: 0 }).catch((thrown: unknown) => {
      throw new Error(`${where}: ${String(thrown)}`, { cause: thrown });
    });
    const root = { ...dataset, folder: kind === 'list' ? join(at, 'data') : source };
    const members = membersOf(root);
    const { train, val, test } = built.members;
    const sorted = (byClass: Record<string, string[]>) =>
      Object.fromEntries(Object.entries(byClass).map(([name, paths]) => [name, [...paths].sort()]));
    expect(dataset.classes, where).toEqual(Object.keys(train).sort());
    if (Object.keys(val).length + Object.keys(test).length > 0) {
      const validates = Object.keys(val).length > 0 ? val : test;
      expect(members, where).toEqual({
        train: sorted(train),
        val: sorted(validates),
        test: sorted(validates === val ? test : {}),
      });
    } else {
      const both = Object.fromEntries(
        Object.keys(train).map((name) => [
          name,
          [...(members['train']?.[name] ?? []), ...(members['val']?.[name] ?? [])].sort(),
        ]),
      );
      expect(both, where).toEqual(sorted(train));
      for (const [name, paths] of Object.entries(train))
        expect(members['val']?.[name]?.length, where).toBe(
          Math.min(paths.length - 1, Math.max(1, Math.round(paths.length * 0.2))),
        );
    }
    expect(dataset.contents?.leftOut, where).toEqual(expected.leftOut);
    if (kind !== 'list') expect(dataset.contents?.found, where).toBe(expected.found);
    expect(addsUp(dataset), where).toBe(true);
    rmSync(at, { recursive: true });
  }
}, 120_000);
