import { mkdtempSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { photoIdentity } from '../../src/data/photoIdentity.js';

let path: string;
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'ort-tl-')), 'a.jpg');
  writeFileSync(path, 'photo');
  utimesSync(path, 1e9, 1e9);
});

describe("a photo's identity", () => {
  it('stays when its file gets another name, and no other file has it', async () => {
    const before = await photoIdentity({ path });
    const other = join(path, '..', 'b.jpg');
    renameSync(path, other);
    expect(await photoIdentity({ path: other })).toBe(before);
    writeFileSync(path, 'photo');
    utimesSync(path, 1e9, 1e9);
    expect(await photoIdentity({ path })).not.toBe(before);
  });

  it.each([
    ['its size', 'photos', 1e9],
    ['its time', 'other', 1e9 + 1],
  ])('changes with %s', async (_, content, time) => {
    const before = await photoIdentity({ path });
    writeFileSync(path, content);
    utimesSync(path, time, time);
    expect(await photoIdentity({ path })).not.toBe(before);
  });

  it('cannot be told of a file that was changed just now, or is not there', async () => {
    writeFileSync(path, 'other');
    expect(await photoIdentity({ path })).toBeUndefined();
    expect(await photoIdentity({ path: join(path, '..', 'none.jpg') })).toBeUndefined();
  });

  it('tells photos of one archive apart', async () => {
    const inside = { kind: 'cifar', file: path } as const;
    const [first, second] = await Promise.all(
      [0, 3073].map((offset) => photoIdentity({ path: `${path}/${offset}`, inside: { ...inside, offset } })),
    );
    expect(first).toBeDefined();
    expect(second).not.toBe(first);
  });
});
