import { describe, expect, it } from 'vitest';
import { readInput } from '../../src/data/inputPhotos.js';

const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();

describe('readInput', () => {
  it.each([
    ['lines', Buffer.from('dog/0.png\ndog/1.png\n')],
    ['lines of Windows', Buffer.from('dog/0.png\r\n\r\ndog/1.png\r\n')],
    ['lines of old Macs', Buffer.from('dog/0.png\rdog/1.png\r')],
    ['a byte order mark', Buffer.from('\ufeffdog/0.png\ndog/1.png')],
    ['zero bytes', Buffer.from('dog/0.png\0dog/1.png\0')],
    ['UTF-16, as PowerShell writes it', Buffer.from('\ufeffdog/0.png\r\ndog/1.png\r\n', 'utf16le')],
    ['UTF-16 of the other order', utf16be('\ufeffdog/0.png\ndog/1.png\n')],
    ['UTF-16 without a mark', Buffer.from('dog/0.png\ndog/1.png\n', 'utf16le')],
  ])('reads a list with %s', (_, bytes) => {
    expect(readInput(bytes)).toEqual({ kind: 'list', photos: [{ path: 'dog/0.png' }, { path: 'dog/1.png' }] });
  });

  it('keeps line breaks inside names that zero bytes separate, and the bytes of names that are not UTF-8', () => {
    expect(readInput(Buffer.from('a\nb.png\0c.png\0'))).toMatchObject({
      photos: [{ path: 'a\nb.png' }, { path: 'c.png' }],
    });
    expect(readInput(Buffer.from('caf\xe9.png\n\xfe\xff', 'latin1'))).toEqual({
      kind: 'list',
      photos: [
        { path: 'caf\\xe9.png', rawPath: 'caf\xe9.png' },
        { path: '\\xfe\\xff', rawPath: '\xfe\xff' },
      ],
    });
  });

  it.each([
    ['JPEG', 'ffd8ffe000104a4649460001'],
    ['PNG', '89504e470d0a1a0a0000000d49484452'],
    ['GIF', '4749463839610100010000ff002c'],
    ['TIFF', '49492a0008000000'],
    ['WebP', '524946462400000057454250565038'],
    ['HEIC, whoever reads it', '0000001866747970686569630000'],
    ['a bitmap', '424d36000000000000003600000028'],
  ])('takes what begins as %s for a photo', (_, hex) => {
    expect(readInput(Buffer.from(hex, 'hex'))).toEqual({ kind: 'photo' });
  });

  it.each([
    ['a PDF', Buffer.from('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\x02\x9d', 'latin1')],
    ['a zip file', Buffer.from('504b03041400000008000000', 'hex')],
    ['UTF-32', Buffer.from(Uint32Array.from('\ufeffdog/0.png\n', (letter) => letter.charCodeAt(0)).buffer)],
    [
      'UTF-32 of the other order',
      Buffer.from(Uint32Array.from('dog/0.png\n', (letter) => letter.charCodeAt(0)).buffer).swap32(),
    ],
    ['one long line', Buffer.alloc(10_000, 'a')],
  ])('takes %s for neither', (_, bytes) => {
    expect(readInput(bytes)).toEqual({ kind: 'neither' });
  });
});
