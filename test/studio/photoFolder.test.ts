import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { openDataset } from '../../src/index.js';
import { PhotoFolder } from '../../src/studio/server/photoFolder.js';
import { codeOf, filesIn, folder, messageIn, photo, some, studioIn, write } from './studio.js';

const names = ({ studio }: Awaited<ReturnType<typeof studioIn>>) =>
  studio.photos.classes.map(({ name, photos }) => `${name} ${photos}`);

async function two() {
  const data = folder();
  await write(data, { ...some('cat', 5), ...some('dog', 5, 100) });
  return studioIn(data);
}

const SPLITS = {
  ...some('train/cat', 3),
  ...some('train/dog', 3, 10),
  ...some('val/cat', 2, 20),
  ...some('val/dog', 2, 30),
};

describe('a folder of photos', () => {
  it('is seen as a training sees it: the same classes, and the same photos in each split', async () => {
    const data = folder();
    await write(data, { ...some('cat', 11), ...some('dog', 7, 100) });
    const { list, studio } = await studioIn(data);
    const dataset = await openDataset(data, { seed: 0 });
    const validating = [...(await list('cat')).photos, ...(await list('dog')).photos].filter(
      ({ split }) => split === 'validate',
    );
    expect(validating.map(({ path }) => join(data, path)).sort()).toEqual(dataset.val.map(({ path }) => path).sort());
    expect(studio.photos.classes).toEqual([
      { name: 'cat', photos: 11, validate: 2, test: 0 },
      { name: 'dog', photos: 7, validate: 1, test: 0 },
    ]);
    expect(studio.photos.problem).toBeUndefined();
  });

  it('may have splits, by whatever names', async () => {
    const data = folder();
    await write(data, {
      ...some('Training/cat', 3),
      ...some('Training/dog', 3, 10),
      ...some('valid/cat', 2, 20),
      ...some('valid/dog', 2, 30),
      ...some('test_set/cat', 1, 40),
      ...some('test_set/dog', 1, 50),
    });
    const { studio, list } = await studioIn(data);
    expect(studio.photos.classes.map((each) => ({ ...each }))).toEqual([
      { name: 'cat', photos: 6, validate: 2, test: 1 },
      { name: 'dog', photos: 6, validate: 2, test: 1 },
    ]);
    expect((await list('cat')).photos.map(({ path, split }) => `${path} ${split}`)).toContain(
      'test_set/cat/0.jpg test',
    );
  });

  it('is made where there is none, and says why it cannot be trained on, until it can', async () => {
    const data = join(folder(), 'new', 'photos');
    const own = await studioIn(data);
    expect(existsSync(data)).toBe(true);
    expect(own.studio.photos.problem?.code).toBe('no-photos');
    await own.post('/api/classes', { name: 'cat' });
    await own.post('/api/classes', { name: 'dog' });
    expect(names(own)).toEqual(['cat 0', 'dog 0']);
    await own.put('cat', 'a.jpg', await photo(1));
    await own.studio.photos.refresh();
    expect(names(own)).toEqual(['cat 1', 'dog 0']);
    expect(own.studio.photos.problem?.message).toContain('"dog" has no photos');
    for (const number of [2, 3]) await own.put('dog', `${number}.jpg`, await photo(number));
    await own.put('cat', 'b.jpg', await photo(4));
    await own.studio.photos.refresh();
    expect(own.studio.photos.problem).toBeUndefined();
    expect(own.studio.workshop.project.classes).toHaveLength(2);
  });

  it('is refused where it is something else, with what to do', async () => {
    const file = join(folder(), 'photos.csv');
    writeFileSync(file, 'path,class\n');
    await expect(PhotoFolder.open(file)).rejects.toThrow(
      /photos.csv is a file, and the studio keeps photos in a folder/,
    );
    const yolo = folder();
    await write(yolo, {
      'data.yaml': 'train: images/train\nval: images/val\nnames: [a, b]\n',
      'images/train/1.jpg': 1,
      'images/val/2.jpg': 2,
    });
    await write(yolo, { 'labels/train/1.txt': '0 0.5 0.5 0.1 0.1\n', 'labels/val/2.txt': '1 0.5 0.5 0.1 0.1\n' });
    await expect(PhotoFolder.open(yolo)).rejects.toMatchObject({ code: 'unknown-data' });
    const cifar = folder();
    for (const name of ['data_batch_1.bin', 'test_batch.bin'])
      writeFileSync(join(cifar, name), Buffer.alloc(3073 * 4, 1));
    writeFileSync(join(cifar, 'batches.meta.txt'), 'a\nb\n');
    await expect(PhotoFolder.open(cifar)).rejects.toMatchObject({ code: 'unknown-data' });
  });

  it('notices what others change in it, and nothing else', async () => {
    const { studio, data, list } = await two();
    const { photos } = studio;
    const { revision } = photos;
    await photos.refresh();
    expect(photos.revision).toBe(revision);
    const heard = vi.fn();
    photos.onChange(heard);
    await write(data, { 'dog/new.jpg': 500 });
    await vi.waitFor(() => expect(heard).toHaveBeenCalledTimes(1), { timeout: 20_000 });
    expect(photos.revision).toBeGreaterThan(revision);
    const [before] = (await list('cat')).photos;
    utimesSync(join(data, 'cat', '0.jpg'), new Date(), new Date(2001, 1, 1));
    await photos.refresh();
    const [after] = (await list('cat')).photos;
    expect(after?.stamp).not.toBe(before?.stamp);
    renameSync(join(data, 'dog'), join(data, 'wolf'));
    await vi.waitFor(() => expect(photos.classes.map(({ name }) => name)).toEqual(['cat', 'wolf']), {
      timeout: 20_000,
    });
  });
});

describe('moving photos', () => {
  it('moves the files, and tells how many', async () => {
    const own = await two();
    const bytes = readFileSync(join(own.data, 'cat/1.jpg'));
    expect(
      (await own.post('/api/photos/move', { paths: ['cat/1.jpg', 'cat/2.jpg', 'dog/0.jpg'], to: 'dog' })).body,
    ).toEqual({ moved: 2, paths: ['dog/1-2.jpg', 'dog/2-2.jpg'] });
    expect(names(own)).toEqual(['cat 3', 'dog 7']);
    // Both names were taken.
    expect(readFileSync(join(own.data, 'dog/1-2.jpg')).equals(bytes)).toBe(true);
  });

  it('leaves each photo in its split', async () => {
    const data = folder();
    await write(data, SPLITS);
    const own = await studioIn(data);
    await own.post('/api/photos/move', { paths: ['val/cat/0.jpg', 'train/cat/0.jpg'], to: 'dog' });
    expect(filesIn(data)).toEqual(expect.arrayContaining(['val/dog/0-2.jpg', 'train/dog/0-2.jpg']));
    expect(own.studio.photos.classes).toEqual([
      { name: 'cat', photos: 3, validate: 1, test: 0 },
      { name: 'dog', photos: 7, validate: 3, test: 0 },
    ]);
  });

  it('does it where each class has its own splits, too', async () => {
    const data = folder();
    await write(data, {
      ...some('cat/train', 3),
      ...some('cat/val', 2, 10),
      ...some('dog/train', 3, 20),
      ...some('dog/val', 2, 30),
    });
    const own = await studioIn(data);
    await own.post('/api/photos/move', { paths: ['cat/val/0.jpg'], to: 'dog' });
    expect(filesIn(data)).toContain('dog/val/0-2.jpg');
    await own.put('cat', 'new.jpg', await photo(99));
    expect(filesIn(data)).toContain('cat/train/new.jpg');
    expect(codeOf((await own.post('/api/classes', { name: 'bird' })).body)).toBe('ambiguous-layout');
  });

  it('moves none where one of them is wrong', async () => {
    const own = await two();
    const before = filesIn(own.data);
    const wrong = [
      ['cat/none.jpg', 'no-such-photo'],
      ['../cat/0.jpg', 'bad-path'],
      ['cat', 'no-such-photo'],
    ] as const;
    for (const [path, code] of wrong)
      expect(codeOf((await own.post('/api/photos/move', { paths: ['cat/0.jpg', path], to: 'dog' })).body)).toBe(code);
    expect(codeOf((await own.post('/api/photos/move', { paths: ['cat/0.jpg'], to: 'bird' })).body)).toBe(
      'no-such-class',
    );
    expect(filesIn(own.data)).toEqual(before);
  });
});

describe('classes', () => {
  it('are renamed with their photos, in every split', async () => {
    const data = folder();
    await write(data, SPLITS);
    const own = await studioIn(data);
    expect((await own.post('/api/classes/rename', { from: 'cat', to: 'tiger' })).body).toEqual({ moved: 5 });
    expect(names(own)).toEqual(['dog 5', 'tiger 5']);
    expect(filesIn(data)).toContain('val/tiger/1.jpg');
  });

  it('are merged when that is said, and no photo replaces another', async () => {
    const own = await two();
    await write(own.data, { 'cat/deep/x.jpg': 400, 'dog/deep/x.jpg': 401 });
    await own.studio.photos.refresh();
    expect(await own.post('/api/classes/rename', { from: 'cat', to: 'dog' })).toMatchObject({ status: 409 });
    expect(names(own)).toEqual(['cat 6', 'dog 6']);
    expect((await own.post('/api/classes/rename', { from: 'cat', to: 'dog', merge: true })).body).toEqual({ moved: 6 });
    expect(names(own)).toEqual(['dog 12']);
    expect(existsSync(join(own.data, 'cat'))).toBe(false);
    expect(filesIn(own.data)).toContain('dog/deep/x-2.jpg');
  });

  it('change their case', async () => {
    const own = await two();
    await own.post('/api/classes/rename', { from: 'cat', to: 'Cat' });
    expect(names(own)).toEqual(['Cat 5', 'dog 5']);
  });

  it('are deleted to a bin, and come back as they were', async () => {
    const own = await two();
    const before = filesIn(own.data);
    const { body } = await own.post('/api/classes/delete', { name: 'cat' });
    const { bin } = body as { bin: string };
    expect(body).toEqual({ bin, photos: 5 });
    expect(names(own)).toEqual(['dog 5']);
    expect(own.studio.workshop.project.bin).toEqual([{ bin, what: 'cat', photos: 5 }]);
    expect((await openDataset(own.data, { use: 'measuring' })).classes).toEqual(['dog']);
    expect((await own.post('/api/bin/restore', { bin })).body).toEqual({ moved: 5 });
    expect(filesIn(own.data)).toEqual(before);
    expect(own.studio.workshop.project.bin).toEqual([]);
    expect(await own.post('/api/bin/restore', { bin })).toMatchObject({ status: 404 });
  });

  it('come back beside what has taken their place', async () => {
    const own = await two();
    const bytes = readFileSync(join(own.data, 'cat/0.jpg'));
    const { bin } = (await own.post('/api/classes/delete', { name: 'cat' })).body as { bin: string };
    await own.post('/api/classes', { name: 'cat' });
    await own.put('cat', '0.jpg', await photo(900));
    await own.post('/api/bin/restore', { bin });
    expect(names(own)).toEqual(['cat 6', 'dog 5']);
    expect(readFileSync(join(own.data, 'cat/0-2.jpg')).equals(bytes)).toBe(true);
  });

  it('take photos back that were deleted one by one, though the class has gone', async () => {
    const own = await two();
    const first = (await own.post('/api/photos/delete', { paths: ['cat/0.jpg', 'dog/1.jpg', 'cat/0.jpg'] })).body as {
      bin: string;
    };
    expect(first).toMatchObject({ photos: 2 });
    const second = (await own.post('/api/classes/delete', { name: 'cat' })).body as { bin: string };
    expect(own.studio.workshop.project.bin.map(({ bin, what }) => [bin, what])).toEqual([
      [first.bin, 'cat, dog'],
      [second.bin, 'cat'],
    ]);
    expect((await own.post('/api/bin/restore', { bin: first.bin })).body).toEqual({ moved: 2 });
    expect(names(own)).toEqual(['cat 1', 'dog 5']);
  });

  it('are found in the bin by a studio that begins later', async () => {
    const own = await two();
    const { bin } = (await own.post('/api/classes/delete', { name: 'cat' })).body as { bin: string };
    const later = await studioIn(own.data);
    expect(later.studio.workshop.project.bin).toEqual([{ bin, what: 'cat', photos: 5 }]);
  });
});

describe('names of classes', () => {
  it.skipIf(process.platform === 'win32')('may be markup, which stays what it is', async () => {
    const own = await two();
    const name = '<img src=x onerror=alert(1)>';
    expect((await own.post('/api/classes', { name })).status).toBe(200);
    await own.put(name, '<b>.jpg', await photo(7));
    await own.studio.photos.refresh();
    expect((await own.list(name)).photos.map(({ path }) => path)).toEqual([`${name}/<b>.jpg`]);
    const shown = await own.ask(`/api/thumbnail?${new URLSearchParams({ path: `${name}/<b>.jpg` }).toString()}`);
    expect(shown.headers.get('content-type')).toBe('image/webp');
    const refused = await own.put(name, '<b>.html', '<script>alert(1)</script>');
    expect(refused.headers.get('content-type')).toMatch(/^application\/json/);
  });

  it('lead nowhere, hide nothing, and are told apart', async () => {
    const own = await two();
    const wrong = [
      ...['', '.', '..', '../x', 'a/b', 'a\\b', '.hidden', 'x.', 'x ', 'a\0b', 'a\nb', 'C:', 'c:x', '\ud800'],
      ...[
        'train',
        'Validation',
        'test_set',
        'unlabelled',
        '@eaDir',
        '__MACOSX',
        '.ort-tl-bin',
        'CAT',
        'ｃat',
        'x'.repeat(101),
      ],
    ];
    for (const name of wrong) {
      const { status, body } = await own.post('/api/classes', { name });
      expect([name, status, codeOf(body)]).toEqual([name, 400, 'bad-class-name']);
    }
    expect(await own.post('/api/classes', { name: 'cat' })).toMatchObject({ status: 409 });
    for (const name of ['.', '..', '../x', '/tmp/x', 'a\\b', '.ort-tl-bin', 'train']) {
      expect((await own.post('/api/classes/rename', { from: 'cat', to: name, merge: true })).status).toBe(400);
      expect((await own.post('/api/classes/rename', { from: name, to: 'x', merge: true })).status).toBe(404);
      expect((await own.post('/api/classes/delete', { name })).status).toBe(404);
    }
    expect(names(own)).toEqual(['cat 5', 'dog 5']);
  });

  it('are the same in both forms of Unicode', async () => {
    const own = await two();
    await own.post('/api/classes', { name: 'cafe\u0301' });
    expect(own.studio.photos.classes.map(({ name }) => name)).toContain('caf\u00e9');
    mkdirSync(join(own.data, 'nin\u0303o'));
    await own.studio.photos.refresh();
    await own.put('ni\u00f1o', 'a.jpg', await photo(70));
    expect(filesIn(own.data)).toContain('nin\u0303o/a.jpg');
  });
});

describe('paths', () => {
  const outside = async () => {
    const own = await two();
    const secret = join(folder(), 'secret.jpg');
    writeFileSync(secret, await photo(1000));
    return { own, secret };
  };

  it('never lead out of the folder, however they are written', async () => {
    const { own, secret } = await outside();
    const up = '../'.repeat(20);
    const paths = [
      ...[
        secret,
        `${up}${secret.slice(1)}`,
        `cat/${up}${secret.slice(1)}`,
        `cat/..${secret}`,
        '..\\..\\secret.jpg',
        `cat/./0.jpg`,
      ],
      ...[
        'cat//0.jpg',
        '/cat/0.jpg',
        './cat/0.jpg',
        'cat/0.jpg/',
        'C:/secret.jpg',
        'cat/0.jpg\0.txt',
        '%2e%2e%2fsecret.jpg',
        '..%2f..%2fsecret.jpg',
      ],
      ...[
        '.ort-tl-bin/x',
        'cat/.hidden.jpg',
        '.',
        '..',
        '',
        '%252e%252e%252fsecret.jpg',
        '....//secret.jpg',
        'file:///etc/passwd',
      ],
    ];
    for (const path of paths)
      for (const written of [encodeURIComponent(path), encodeURI(path), ...(path.startsWith('%') ? [path] : [])])
        for (const kind of ['thumbnail', 'photo']) {
          const { status, body } = await own.ask(`/api/${kind}?path=${written}`);
          expect([path, status]).toEqual([path, status === 404 ? 404 : 400]);
          expect(codeOf(body)).toMatch(/^(bad-path|no-such-photo|bad-request)$/);
        }
    for (const path of paths)
      for (const url of ['/api/photos/delete', '/api/photos/move'])
        expect(
          (await own.post(url, { paths: [path], ...(url.endsWith('move') ? { to: 'dog' } : {}) })).status,
        ).toBeGreaterThanOrEqual(400);
    for (const bin of ['..', '../..', '.', 'x', '20260101-000000-1/../..', `${up}etc`])
      expect((await own.post('/api/bin/restore', { bin })).status).toBe(404);
    expect(filesIn(own.data)).toHaveLength(10);
    expect(existsSync(secret)).toBe(true);
  });

  it('are not followed by links that lead out', async () => {
    const { own, secret } = await outside();
    symlinkSync(secret, join(own.data, 'cat', 'link.jpg'));
    symlinkSync(join(secret, '..'), join(own.data, 'linked'));
    symlinkSync(join(own.data, 'dog', '0.jpg'), join(own.data, 'cat', 'inside.jpg'));
    await own.studio.photos.refresh();
    const status = async (path: string) => (await own.ask(`/api/photo?path=${path}`)).status;
    expect(await status('cat/link.jpg')).toBe(404);
    expect(await status('linked/secret.jpg')).toBe(404);
    expect(await status('cat/inside.jpg')).toBe(200);
    expect((await own.put('linked', 'x.jpg', await photo(5))).status).toBe(400);
    expect((await own.post('/api/photos/delete', { paths: ['linked/secret.jpg'] })).status).toBe(404);
    expect((await own.post('/api/classes/rename', { from: 'linked', to: 'cat', merge: true })).status).toBe(400);
    // The link itself is the project's.
    expect((await own.post('/api/photos/delete', { paths: ['cat/link.jpg'] })).status).toBe(200);
    expect(existsSync(secret)).toBe(true);
  });
});

it('surveys the photos as ort-tl data does', async () => {
  const own = await two();
  await write(own.data, { 'dog/again.jpg': 0, 'cat/broken.jpg': (await photo(3)).subarray(0, 200) });
  await own.studio.photos.refresh();
  const { body } = await own.post('/api/survey', {});
  expect(body).toMatchObject({
    unreadable: [{ path: 'cat/broken.jpg' }],
  });
  const { warnings, duplicates } = body as { warnings: string[]; duplicates: { path: string; class: string }[][] };
  expect(duplicates.map((group) => group.map((each) => `${each.class} ${each.path}`).sort())).toEqual([
    ['cat cat/0.jpg', 'dog dog/again.jpg'],
  ]);
  expect(warnings.join('\n')).toMatch(
    /1 photo is in two classes \((dog\/again.jpg is cat\/0.jpg|cat\/0.jpg is dog\/again.jpg)\)/,
  );
  expect(warnings.join('\n')).not.toContain(own.data);
});

it('refuses what is no request of its own', async () => {
  const own = await two();
  for (const [url, body] of [
    ['/api/photos/move', { paths: 'cat/0.jpg', to: 'dog' }],
    ['/api/photos/move', { paths: [], to: 'dog' }],
    ['/api/photos/delete', { paths: ['cat/0.jpg'], force: true }],
    ['/api/classes', [1]],
  ] as const) {
    const { status, body: told } = await own.post(url, body);
    expect([status, codeOf(told)]).toEqual([400, 'bad-request']);
    expect(messageIn(told)).toContain(url);
  }
  expect((await own.ask('/api/none')).status).toBe(404);
});
