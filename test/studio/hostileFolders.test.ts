import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PhotoBin } from '../../src/studio/server/photoBin.js';
import { startStudio } from '../../src/studio/server/serve.js';
import { codeOf, folder, noise, some, studioIn, write } from './studio.js';

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
