import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import type { Binned } from '../../src/studio/api.js';
import { PhotoBin } from '../../src/studio/server/photoBin.js';
import { startStudio } from '../../src/studio/server/serve.js';
import { codeOf, folder, noise, photo, some, studioIn, write } from './studio.js';

describe('a folder of photos', () => {
  it('that has gone is named when a photo comes', async () => {
    const data = folder();
    await write(data, some('cat', 2));
    const { put } = await studioIn(data);
    rmSync(data, { recursive: true });
    const { status, body } = await put('cat', 'new.jpg', await noise(32));
    expect([status, codeOf(body)]).toEqual([507, 'write-failed']);
  });

  it.skipIf(process.platform === 'win32')('keeps a class that could not be put back', async () => {
    const data = folder();
    await write(data, { ...some('cat', 2), ...some('back\\slash', 2, 5) });
    const { post, studio } = await studioIn(data);
    const { status, body } = await post('/api/classes/delete', { name: 'back\\slash' });
    expect([status, codeOf(body)]).toEqual([400, 'bad-path']);
    expect(existsSync(join(data, 'back\\slash', '0.jpg'))).toBe(true);
    expect(studio.photos.bin).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'shows all classes but those that no class can be called as, and tells of them',
    async () => {
      const data = folder();
      const odd = { ...some('trail. ', 2, 4), [`${'x'.repeat(255)}/0.jpg`]: 6, [`${'x'.repeat(255)}/1.jpg`]: 7 };
      await write(data, { ...some('cat', 3), ...some('dog', 3, 10), ...odd, ...some('new\nline', 2, 20) });
      const latin = Buffer.concat([Buffer.from(`${data}/caf`), Buffer.of(0xe9)]);
      mkdirSync(latin);
      writeFileSync(Buffer.concat([latin, Buffer.from('/1.jpg')]), await photo(30));
      const other = folder();
      await write(other, some('far', 2, 40));
      symlinkSync(join(other, 'far'), join(data, 'far'));
      const { studio, put, post, ask } = await studioIn(data);
      const { photos, workshop } = studio;
      const counts = () => photos.classes.map((each) => `${each.name.slice(0, 9)} ${each.photos}`);
      expect(counts()).toEqual(['cat 3', 'dog 3', 'far 2', 'trail.  2', 'xxxxxxxxx 2']);
      expect(photos.dataset.dataset.classes).toHaveLength(5);
      expect(workshop.project.warnings).toEqual([expect.stringMatching(/far is a link that leads out/)]);
      expect((await ask('/api/thumbnail?path=far/0.jpg')).status).toBe(404);
      // The command refuses them, which is told, and one of them after another is mended.
      expect(workshop.project.problem).toMatch(
        /^no class can be called as the folder .*caf\ufffd is.*not UTF-8; rename it$/,
      );
      await expect(openDataset(data, {})).rejects.toMatchObject({ code: 'bad-class-name' });
      renameSync(latin, join(data, 'café'));
      writeFileSync(join(data, 'café', '2.jpg'), await photo(31));
      await photos.refresh();
      expect(workshop.project.problem).toMatch(/new\\nline is.*a line break.*; rename it$/);
      expect(counts()[0]).toBe('café 2');
      expect((await put('new\nline', 'a.jpg', await photo(50))).status).toBe(404);
      expect((await post('/api/classes/rename', { from: 'cat', to: 'cow', merge: false })).status).toBe(200);
      renameSync(join(data, 'new\nline'), join(data, 'newline'));
      await photos.refresh();
      expect(workshop.project.problem).toBeUndefined();
      expect(counts()).toContain('newline 2');
      expect((await openDataset(data, {})).classes).toHaveLength(7);
    },
  );

  it('has nothing in its bin where another program was faster', async () => {
    const data = folder();
    await write(data, some('cat', 2));
    const bin = new PhotoBin(data);
    const gone = { what: 'cat', photos: 1, paths: ['cat/gone.jpg'] };
    await expect(bin.put(gone)).rejects.toMatchObject({ code: 'write-failed' });
    expect(await bin.list()).toEqual([]);
    // What was moved before can still be put back.
    await expect(bin.put({ ...gone, paths: ['cat/0.jpg', 'cat/gone.jpg'] })).rejects.toMatchObject({
      code: 'write-failed',
    });
    const [kept] = await bin.list();
    expect(await bin.restore(kept?.bin ?? '')).toBe(1);
    expect(existsSync(join(data, 'cat', '0.jpg'))).toBe(true);
  });
});

describe('the bin', () => {
  it('tells how large it is, with runs that were deleted, and is emptied of what the studio put there alone', async () => {
    const data = folder();
    await write(data, { ...some('cat', 3), ...some('dog', 2, 9), '.ort-tl-bin/mine.txt': 'mine' });
    const { post, studio } = await studioIn(data);
    const { photos, workshop } = studio;
    const run = join(workshop.runs.folder, 'first');
    mkdirSync(run);
    writeFileSync(join(run, 'args.yaml'), Buffer.alloc(50_000, '#'));
    await workshop.runs.refresh();
    const bytes = statSync(join(data, 'cat', '0.jpg')).size + statSync(join(data, 'cat', '1.jpg')).size;
    await post('/api/photos/delete', { paths: ['cat/0.jpg'] });
    const { body } = await post('/api/photos/delete', { paths: ['cat/1.jpg'] });
    await post('/api/runs/delete', { name: 'first' });
    // The lists of what was deleted count, too.
    expect(workshop.project.binBytes).toBeGreaterThanOrEqual(bytes + 50_000);
    expect(workshop.project.binBytes).toBeLessThan(bytes + 51_000);
    expect((await post('/api/bin/restore', { bin: (body as Binned).bin })).body).toEqual({ moved: 1 });
    expect(workshop.project.binBytes).toBeLessThan(bytes + 50_000);
    expect((await post('/api/bin/empty', {})).status).toBe(200);
    expect([photos.bin, workshop.project.binBytes]).toEqual([[], 0]);
    expect(readdirSync(join(data, '.ort-tl-bin'))).toEqual(['mine.txt']);
    expect(readdirSync(join(workshop.runs.folder, '.ort-tl-bin'))).toEqual([]);
    expect(photos.classes.map((each) => each.photos)).toEqual([2, 2]);
  });

  it.skipIf(process.platform === 'win32')('that is a link to another folder is not emptied', async () => {
    const [data, other] = [folder(), folder()];
    await write(data, some('cat', 2));
    await write(other, { '20260101-000000-1/cat/0.jpg': 7, 'first-1767225600000/args.yaml': 'model: x' });
    const { post, studio } = await studioIn(data);
    symlinkSync(other, join(data, '.ort-tl-bin'));
    symlinkSync(other, join(studio.workshop.runs.folder, '.ort-tl-bin'));
    expect((await post('/api/bin/empty', {})).body).toEqual({ bytes: 0 });
    expect(readdirSync(other)).toHaveLength(2);
  });
});

describe('a folder of runs', () => {
  const start = (data: string, runs: string) =>
    startStudio({ data, runs, usualModel: 'tiny', port: 0, page: folder() });

  it('lies apart from the photos', async () => {
    const data = folder();
    for (const runs of [data, join(data, 'runs')])
      await expect(start(data, runs)).rejects.toMatchObject({
        code: 'bad-arguments',
        message: expect.stringMatching(/lies in the folder of the photos.*choose another folder/) as string,
      });
    mkdirSync(join(data, 'photos'));
    await (await start(join(data, 'photos'), data)).close();
  });

  it('is no file', async () => {
    const runs = join(folder(), 'runs');
    writeFileSync(runs, 'a file');
    await expect(start(folder(), runs)).rejects.toMatchObject({ code: 'bad-arguments' });
  });
});
