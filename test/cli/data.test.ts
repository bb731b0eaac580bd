import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { SMALL_CNN } from '../models.js';
import { cliHere, expectRefusal, folder } from './cli.js';

/** A picture of one colour, so that each is another file. */
async function picture(path: string, shade: number, width = 40, height = 30): Promise<void> {
  const background = { r: shade, g: 255 - shade, b: 128 };
  writeFileSync(
    path,
    await sharp({ create: { width, height, channels: 3, background } })
      .png()
      .toBuffer(),
  );
}

/** Class → how many pictures, in folders below `at`. */
async function classes(at: string, counts: Readonly<Record<string, number>>, first = 0): Promise<void> {
  let shade = first;
  for (const [name, count] of Object.entries(counts)) {
    mkdirSync(join(at, name), { recursive: true });
    for (let index = 0; index < count; index++) await picture(join(at, name, `${index}.png`), shade++);
  }
}

/** What `ort-tl data --json` gives, as far as these tests look at it. */
interface Found {
  readonly classes: readonly { readonly name: string; readonly train: number; readonly validate: number }[];
  readonly photos: Readonly<Record<string, unknown>>;
  readonly content?: {
    readonly unreadable: readonly { readonly path: string; readonly class: string; readonly reason: string }[];
    readonly duplicates: Readonly<Record<string, unknown>> & { readonly groups: readonly unknown[][] };
    readonly sizes?: unknown;
  };
  readonly imbalance?: unknown;
  readonly few: readonly unknown[];
  readonly problem: { readonly code: string } | null;
}

async function survey(...args: string[]): Promise<Found> {
  const { stdout } = await cliHere(['data', ...args, '--json']);
  return JSON.parse(stdout) as Found;
}

describe('ort-tl data', () => {
  let at: string;
  let photos: string;
  beforeAll(async () => {
    at = folder();
    photos = join(at, 'photos');
    await classes(join(photos, 'train'), { cat: 12, dog: 3 });
    await classes(join(photos, 'val'), { cat: 2, dog: 2 }, 100);
    await classes(join(photos, 'test'), { cat: 1, dog: 1 }, 200);
    await picture(join(photos, 'train', 'cat', 'large.png'), 90, 400, 300);
    const copy = (from: string, to: string) => {
      copyFileSync(join(photos, from), join(photos, to));
    };
    copy('train/cat/0.png', 'train/cat/0 again.png');
    copy('train/cat/1.png', 'train/dog/1 too.png');
    copy('train/cat/2.png', 'val/cat/2 too.png');
    copy('train/dog/2.png', 'test/dog/2 too.png');
    writeFileSync(join(photos, 'val', 'dog', 'broken.jpg'), 'no picture');
    writeFileSync(join(photos, 'train', 'cat', 'phone.heic'), 'HEIC');
  });

  it('counts classes by split, and says what is wrong with the photos', async () => {
    const { status, stdout, stderr } = await cliHere(['data', 'photos', '--max-bad', '0.2'], at);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^photos: 27 photos in 2 classes: 18 to train with, 6 to validate, 3 kept for testing/m);
    // 12, one that is large, and one that is there again.
    expect(stdout).toMatch(/^cat +14 +3 +1 +0 +█{24}$/m);
    expect(stdout).toMatch(/^dog +4 +3 +2 +1 +█+$/m);
    expect(stdout).toMatch(/^left out +1 \.heic$/m);
    expect(stdout).toMatch(
      /^sizes +smallest 40 × 30, median 40 × 30, largest 400 × 300; 25 \(.*smaller than the 224 × 224/m,
    );
    expect(stdout).toMatch(/^duplicates +1 validate and train, 1 test and .*, 1 in two classes, 1 again/m);
    expect(stdout).toMatch(/^unreadable +1$/m);
    expect(stderr).toMatch(/1 of the photos that validate trains too .*2 too\.png is /);
    expect(stderr).toMatch(/1 photo is in two classes/);
    expect(stderr).toMatch(
      /"cat" has 3\.5 times as many photos to train with as "dog" \(14 and 4\); --class-weights balanced/,
    );
    expect(stderr).toMatch(/few photos to train with \("dog" has 4\)/);
    expect(stdout).toMatch(/it can be trained on\n$/);
  });

  it('gives the same by --json, with every group of duplicates and every unreadable photo', async () => {
    const found = await survey(photos, '--max-bad', '0.2');
    expect(found.photos).toEqual({ found: 28, train: 18, validate: 6, test: 3, leftOut: { '.heic': 1 } });
    expect(found.content?.duplicates).toMatchObject({ acrossSplits: 1, acrossClasses: 1, again: 1, ofTest: 1 });
    expect(found.content?.duplicates.groups).toHaveLength(4);
    expect(found.content?.duplicates.groups[0]).toEqual([
      { path: join(photos, 'train/cat/0 again.png'), class: 'cat', split: 'train' },
      { path: join(photos, 'train/cat/0.png'), class: 'cat', split: 'train' },
    ]);
    expect(found.content?.unreadable).toMatchObject([
      { path: join(photos, 'val/dog/broken.jpg'), class: 'dog', split: 'validate', reason: /cannot read/ },
    ]);
    expect(found.content?.sizes).toEqual({
      smallest: { width: 40, height: 30 },
      median: { width: 40, height: 30 },
      largest: { width: 400, height: 300 },
      input: 224,
      smaller: 25,
    });
    expect(found.problem).toBeNull();
  });

  it('measures photos by the size of the network that it is told', async () => {
    const { content } = await survey(photos, '--size', '32', '--max-bad', '0.2');
    // 30 pixels high, all but one.
    expect(content?.sizes).toMatchObject({ input: 32, smaller: 25 });
    expect((await survey(photos, '--size', '30', '--max-bad', '0.2')).content?.sizes).toMatchObject({ smaller: 0 });
  });

  it('reads no photo with --no-read', async () => {
    const found = await survey(photos, '--no-read');
    expect(found.content).toBeUndefined();
    expect(found.photos).toMatchObject({ train: 18, validate: 6, test: 3 });
    expect(found.problem).toBeNull();
  });

  it('takes the photos that a training takes', async () => {
    const plain = join(at, 'plain');
    await classes(plain, { cat: 10, dog: 10 });
    expect((await survey(plain)).classes).toMatchObject([
      { name: 'cat', train: 8, validate: 2 },
      { name: 'dog', train: 8, validate: 2 },
    ]);
    expect((await survey(plain, '--val-fraction', '0.5', '--limit', '3')).classes).toMatchObject([
      { train: 3, validate: 5 },
      { train: 3, validate: 5 },
    ]);
  });

  it('takes a list as well as a folder', async () => {
    writeFileSync(
      join(at, 'list.csv'),
      [
        'path,label',
        ...[0, 1, 2, 3].map((n) => `photos/train/cat/${n}.png,a`),
        'photos/train/dog/0.png,b',
        'photos/train/dog/1.png,b',
      ].join('\n'),
    );
    expect((await survey(join(at, 'list.csv'))).classes).toMatchObject([{ name: 'a' }, { name: 'b', train: 1 }]);
  });

  it.each([
    [
      'too many that cannot be read',
      () => ['photos', '--max-bad', '0.01'],
      /^too-many-unreadable$/,
      /1 of 24 photos could not be read/,
    ],
    ['one class', () => ['photos/train/cat'], /^(?:one-class|no-classes)$/, /class/],
  ])('exits with 2 as a training would, with the counts all the same: %s', async (_, args, code, message) => {
    const told = await cliHere(['data', ...args(), '--json'], at);
    if (told.stdout !== '') expect((JSON.parse(told.stdout) as Found).problem?.code).toMatch(code);
    expect(told.status).toBe(2);
    expect(told.stderr.trim().split('\n').at(-1)).toMatch(message);
    const trained = await cliHere(['train', '--model', SMALL_CNN, '--data', ...args(), '--out', 'none'], at);
    expect(trained.stderr).toMatch(message);
    expect(trained.status).toBe(2);
  });

  it('shows the counts of what has one photo in a class, and then what a training says', async () => {
    const lone = join(at, 'lone');
    await classes(lone, { cat: 4, dog: 1 });
    const { status, stdout, stderr } = await cliHere(['data', lone]);
    expect(stdout).toMatch(/^dog +0? *1/m);
    expect(stderr).toMatch(/ort-tl: class "dog" has one photo only/);
    expect(status).toBe(2);
  });

  it('writes a page with pictures of each class, duplicates and what cannot be read', async () => {
    const { status, stdout } = await cliHere(
      ['data', 'photos', '--max-bad', '0.2', '--html', 'sheet.html', '--per-class', '3'],
      at,
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^sheet\.html$/m);
    const page = readFileSync(join(at, 'sheet.html'), 'utf8');
    expect(page).not.toMatch(/(?:src|href)="(?!data:)/);
    expect(page).toContain('<h2>The same photo more than once (4)</h2>');
    expect(page).toContain('<h2>Photos that cannot be read (1)</h2>');
    expect(page).toMatch(/18 photos, 3 of them shown: 14 train, 3 validate, 1 test/);
    // Two of each of the four groups, and three of each class.
    expect([...page.matchAll(/<figure>/g)]).toHaveLength(8 + 6);
  });

  it('shows fewer photos of each class where there are very many, and says so', async () => {
    const many = join(at, 'many');
    for (let label = 0; label < 500; label++) {
      mkdirSync(join(many, `c${label}`), { recursive: true });
      for (const n of [1, 2, 3, 4, 5, 6])
        linkSync(join(photos, 'train', 'cat', `${n}.png`), join(many, `c${label}`, `${n}.png`));
    }
    const { status } = await cliHere(['data', many, '--no-read', '--html', 'many.html'], at);
    expect(status).toBe(0);
    const page = readFileSync(join(at, 'many.html'), 'utf8');
    expect(page).toContain('with so many classes 4 of each are shown');
    expect([...page.matchAll(/<figure>/g)]).toHaveLength(2000);
  });

  it.each([
    ['among the photos', ['--html', 'photos/sheet.html'], /lies in the folder of the photos.*\(--html\)/],
    ['in place of the list', ['--html', 'list.csv'], /list\.csv is read here, and would be replaced/],
    ['no photos of a class', ['--per-class', '0'], /a whole number from 1 up, got `0` \(--per-class\)/],
    ['a share that is none', ['--val-fraction', '2'], /between 0 and 1, got `2` \(--val-fraction\)/],
  ])('refuses %s, and writes nothing', async (_, flags, message) => {
    const list = readFileSync(join(at, 'list.csv'), 'utf8');
    const path = flags[1] === 'list.csv' ? 'list.csv' : 'photos';
    expectRefusal(await cliHere(['data', path, ...flags], at), message);
    expect(existsSync(join(photos, 'sheet.html'))).toBe(false);
    expect(readFileSync(join(at, 'list.csv'), 'utf8')).toBe(list);
  });

  it('refuses what is not there', async () => {
    expectRefusal(await cliHere(['data', 'nowhere'], at), /cannot open the folder nowhere: ENOENT/);
    expectRefusal(await cliHere(['data'], at), /expected <path>, as in: ort-tl data <path>/);
  });

  it('leaves nothing behind among the photos', () => {
    expect(readdirSync(photos).sort()).toEqual(['test', 'train', 'val']);
    expect(statSync(join(at, 'sheet.html')).size).toBeGreaterThan(1000);
  });
});
