import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, makeFolderSync, readRegularFile, readRegularFileSync } from '../src/files.js';

const folder = () => mkdtempSync(join(tmpdir(), 'ort-tl-'));

function fileOf(bytes: Uint8Array): string {
  const path = join(folder(), 'file');
  writeFileSync(path, bytes);
  return path;
}

/** A named pipe that nobody writes into. */
function pipe(): string {
  const path = join(folder(), 'pipe');
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  return path;
}

describe('reading a file whole', () => {
  it('gives its bytes, up to as many as are allowed', async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
    for (const each of [bytes, new Uint8Array()]) {
      const path = fileOf(each);
      expect(readRegularFileSync(path, 100_000).equals(each)).toBe(true);
      expect((await readRegularFile(path, 100_000)).equals(each)).toBe(true);
    }
    const path = fileOf(bytes);
    const reason = 'it holds 100000 bytes, and ort-tl reads up to 99999 of it';
    expect(() => readRegularFileSync(path, 99_999)).toThrow(reason);
    await expect(readRegularFile(path, 99_999)).rejects.toThrow(reason);
  });

  it.runIf(process.platform !== 'win32')('does not begin with what has no end', async () => {
    for (const path of ['/dev/zero', '/dev/null', pipe()]) {
      expect(() => readRegularFileSync(path, 10)).toThrow('it is no regular file, but a pipe or a device');
      await expect(readRegularFile(path, 10)).rejects.toThrow('it is no regular file, but a pipe or a device');
    }
    const place = folder();
    expect(() => readRegularFileSync(place, 10)).toThrow('it is a folder');
    expect(() => readRegularFileSync(join(place, 'none'), 10)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});

describe('making a folder', () => {
  it('makes those above it too, and gives those that were missing', async () => {
    for (const make of [makeFolder, makeFolderSync]) {
      const root = folder();
      const [a, b, c] = [join(root, 'a'), join(root, 'a', 'b'), join(root, 'a', 'b', 'c')];
      expect(await make(b)).toEqual([a, b]);
      expect(await make(c)).toEqual([c]);
      expect(await make(c)).toEqual([]);
      expect(existsSync(c)).toBe(true);
    }
  });

  it.runIf(process.platform === 'linux')('ends where no folder can be made in one that is there', async () => {
    for (const path of ['/proc/nothere', '/proc/nothere/below']) {
      expect(() => makeFolderSync(path)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
      await expect(makeFolder(path)).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  it('leaves nothing behind where a file is in the way', async () => {
    for (const make of [makeFolder, makeFolderSync]) {
      const file = fileOf(new Uint8Array(1));
      await expect((async () => make(join(file, 'below')))()).rejects.toThrow();
    }
  });
});
