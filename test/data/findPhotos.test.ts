import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPhotos } from '../../src/data/findPhotos.js';
import { JPEG, writeAll } from './layoutCases.js';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ort-tl-find-'))));
afterEach(() => rm(folder, { recursive: true }));

const put = (...names: string[]) => {
  writeAll(folder, new Map(names.map((name) => [name, /heic|txt|bmp/.test(name) ? Buffer.from('none') : JPEG])));
};
const find = async (place: string) => {
  const { photos, warnings } = await findPhotos(place);
  return { names: photos.map(({ path }) => path.slice(folder.length + 1)), warnings };
};

describe('findPhotos', () => {
  it('finds what is a photo by name or by its first bytes, and tells what was left out', async () => {
    put(
      'ok.png',
      'x.jfif',
      'five',
      'deep/6.jpg?w=640',
      'photo.heic',
      '.hidden/0.png',
      '@eaDir/ok.png/S.jpg',
      'notes.txt',
    );
    expect(await find(`${folder}//`)).toEqual({
      names: ['deep/6.jpg?w=640', 'five', 'ok.png', 'x.jfif'],
      warnings: [
        `2 files of other types were left out of ${folder}//: 1 .heic, 1 .txt; convert the pictures to JPEG`,
        `1 file of thumbnails and of the system was left out of ${folder}//`,
      ],
    });
  });

  it('looks through the matches of a pattern likewise, but tries all that a pattern asks for by type', async () => {
    put('a.jpg', 'b.heic', 'c.txt');
    expect(await find(`${folder}/*`)).toMatchObject({
      names: ['a.jpg'],
      warnings: [expect.stringContaining('1 .heic')],
    });
    expect(await find(`${folder}/*.heic`)).toEqual({ names: ['b.heic'], warnings: [] });
    expect(await find(`${folder}/b.heic`)).toEqual({ names: ['b.heic'], warnings: [] });
    await expect(find(`${folder}/*x`)).rejects.toMatchObject({ code: 'no-photos' });
  });

  it('says what a folder holds instead of photos', async () => {
    put('a.heic', 'b.heic');
    await expect(find(folder)).rejects.toMatchObject({
      code: 'no-photos',
      message: expect.stringContaining('it holds 2 .heic; convert the pictures to JPEG') as string,
    });
  });
});
