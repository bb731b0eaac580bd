import { describe, expect, it } from 'vitest';
import { photoFileName } from '../../src/data/photoFileName.js';
import { isPhotoName } from '../../src/data/photoTypes.js';
import { systemFile } from '../../src/data/systemFiles.js';
import { JPEG } from './layoutCases.js';

describe('the name of a photo that comes from elsewhere', () => {
  it('stays what it is where it can', () => {
    for (const name of ['a.jpg', 'IMG 1.JPG', 'Größe (2).webp', '猫.png', 'x.tar.gif'])
      expect(photoFileName(name, JPEG)).toBe(name);
  });

  it.each([
    ['../../evil.jpg', 'evil.jpg'],
    ['C:\\photos\\x.jpg', 'x.jpg'],
    ['.htaccess.jpg', 'htaccess.jpg'],
    ['a\0\n\u2028b.jpg', 'ab.jpg'],
    ['', 'photo.jpg'],
    ['..', 'photo.jpg'],
    ['.jpg', 'jpg.jpg'],
    ['x . .jpg', 'x.jpg'],
    ['IMG_1', 'IMG_1.jpg'],
    ['IMG_1.HEIC', 'IMG_1.HEIC.jpg'],
    ['page.html', 'page.html.jpg'],
    ['cafe\u0301.jpg', 'caf\u00e9.jpg'],
    ['SYNOPHOTO_THUMB_M.jpg', 'photo-SYNOPHOTO_THUMB_M.jpg'],
  ])('%j becomes %j', (name, expected) => {
    expect(photoFileName(name, JPEG)).toBe(expected);
  });

  it('gets the extension of what it is', () => {
    const begins = {
      '.png': '\x89PNG\r\n\x1a\n',
      '.gif': 'GIF89a',
      '.webp': 'RIFF\0\0\0\0WEBP',
      '.avif': '\0\0\0\x1cftypavif',
      '.tif': 'II*\0',
    };
    for (const [extension, begin] of Object.entries(begins))
      expect(photoFileName('x', Buffer.from(begin, 'latin1'))).toBe(`x${extension}`);
  });

  it('has room in a file system, whatever its script, and is known for a photo', () => {
    for (const letter of ['a', 'ü', '猫', '😀']) {
      const name = photoFileName(`${letter.repeat(500)}.jpeg`, JPEG);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
      expect(name).toMatch(/\.jpeg$/);
      expect(isPhotoName(name)).toBe(true);
      expect(systemFile(name)).toBeUndefined();
      expect(name).not.toContain('\ufffd');
    }
  });
});
