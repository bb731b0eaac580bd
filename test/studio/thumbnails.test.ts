import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { AtMost } from '../../src/studio/server/atMost.js';
import { Thumbnails } from '../../src/studio/server/thumbnails.js';
import { folder, photo, some, studioIn, TOKEN, write } from './studio.js';

const BEARER = { Authorization: `Bearer ${TOKEN}` };

describe('pictures for the page', () => {
  it('are small, upright and without what else the file holds', async () => {
    const data = folder();
    const turned = await sharp(await photo(1, { width: 3000, height: 2000 }))
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    await write(data, { 'cat/turned.jpg': turned, 'cat/small.jpg': 2 });
    const { request } = await studioIn(data);
    const look = async (kind: string, path: string) =>
      sharp(
        Buffer.from(await (await request(`/api/${kind}?path=${path}`, { headers: BEARER })).arrayBuffer()),
      ).metadata();
    expect(await look('thumbnail', 'cat/turned.jpg')).toMatchObject({ format: 'webp', width: 128, height: 192 });
    expect(await look('photo', 'cat/turned.jpg')).toMatchObject({ format: 'jpeg', width: 1067, height: 1600 });
    expect(await look('thumbnail', 'cat/small.jpg')).toMatchObject({ format: 'webp', width: 64, height: 48 });
    expect((await look('photo', 'cat/turned.jpg')).exif).toBeUndefined();
  });

  it('say what is wrong with a photo that cannot be read', async () => {
    const data = folder();
    await write(data, { ...some('cat', 2), 'cat/page.jpg': '<!doctype html><script>alert(1)</script>' });
    const { ask } = await studioIn(data);
    const { status, headers, body } = await ask('/api/photo?path=cat/page.jpg');
    expect(status).toBe(422);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(JSON.stringify(body)).toContain('cannot read cat/page.jpg: it is a web page');
  });

  it('are made anew when the file has changed, and once else', async () => {
    const data = folder();
    await write(data, some('cat', 1));
    const path = join(data, 'cat/0.jpg');
    let changed = 1;
    const thumbnails = new Thumbnails(() => Promise.resolve({ path, mtimeMs: changed, size: 1 }));
    const first = await thumbnails.get('thumbnail', 'cat/0.jpg');
    expect((await thumbnails.get('thumbnail', 'cat/0.jpg')).bytes).toBe(first.bytes);
    changed = 2;
    const second = await thumbnails.get('thumbnail', 'cat/0.jpg');
    expect(second.stamp).not.toBe(first.stamp);
    expect(second.bytes).not.toBe(first.bytes);
  });
});

describe('work that waits', () => {
  /** Begins work that ends when it is told to, and notes when it begins. */
  function several(most: AtMost) {
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const run = (name: string, signal?: AbortSignal) =>
      most.run(() => {
        begun.push(name);
        return new Promise<void>((done) => ends.set(name, done));
      }, signal);
    return { begun, run, end: (name: string) => ends.get(name)?.() };
  }

  it('goes on as it came, or the newest first', async () => {
    for (const [order, expected] of [
      ['oldest first', ['a', 'b', 'c', 'd']],
      ['newest first', ['a', 'd', 'c', 'b']],
    ] as const) {
      const { begun, run, end } = several(new AtMost(1, order));
      const all = ['a', 'b', 'c', 'd'].map((name) => run(name));
      for (const name of expected) {
        await new Promise(setImmediate);
        end(name);
      }
      await Promise.all(all);
      expect(begun).toEqual(expected);
    }
  });

  it('is forgotten when nobody wants it any more', async () => {
    const { begun, run, end } = several(new AtMost(1));
    const leaving = new AbortController();
    const first = run('a');
    const second = run('b', leaving.signal);
    const third = run('c');
    leaving.abort();
    await expect(second).rejects.toThrow();
    await expect(run('d', leaving.signal)).rejects.toThrow();
    end('a');
    await first;
    await new Promise(setImmediate);
    end('c');
    await third;
    expect(begun).toEqual(['a', 'c']);
  });
});
