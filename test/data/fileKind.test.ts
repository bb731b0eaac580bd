import { describe, expect, it } from 'vitest';
import sharp from 'sharp';
import type { Preprocessing } from '../../src/artifacts/manifest.js';
import { decodePixels } from '../../src/data/decode.js';
import { tiffFile } from './tiffFile.js';

const one: Preprocessing = { width: 1, height: 1, resize: 'squash', mean: [0, 0, 0], std: [1, 1, 1] };
const latin = (text: string) => Buffer.from(text, 'latin1');
/** The `ftyp` box of an ISO media file, and a little behind it. */
const media = (major: string, others: readonly string[] = [], rest = '') => {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(16 + 4 * others.length);
  return Buffer.concat([size, latin(`ftyp${major}\0\0\0\0${others.join('')}${rest}`), Buffer.alloc(64, 1)]);
};
const heic = 'it is a HEIC photo (iPhone), which is not read; convert it to JPEG';
const raw = "it is a camera's raw photo, which is not read; develop it to JPEG or TIFF";
const grey = { width: 1, height: 1, samples: [9], samplesPerPixel: 1 };

describe('a file that is something else than a photo is named for what it is:', () => {
  it.each<[string, Buffer, string | RegExp]>([
    ['HEIC', media('heic', ['mif1', 'heic', 'miaf']), heic],
    ['HEIC of more bits', media('heix', ['mif1', 'heix']), heic],
    ['a HEIC burst', media('hevc', ['msf1', 'hevc', 'heic']), heic],
    ['HEIC whose main brand is mif1', media('mif1', ['mif1', 'heic']), heic],
    ['HEIC told by its items alone', media('mif1', ['mif1', 'miaf'], '....infe....hvc1....'), heic],
    ['HEIC whose main brand is msf1', media('msf1', ['msf1', 'hevc']), heic],
    ['H.264 in HEIF', media('avci', ['mif1']), /HEIF \(H\.264\)/],
    ['MP4', media('isom', ['iso2', 'avc1', 'mp41']), /is a video/],
    ['QuickTime', media('qt  '), /is a video/],
    ['old QuickTime', latin('\0\0\x10\0moov\0\0\0\x6cmvhd'), /is a video/],
    ['AVI', latin('RIFF\x10\0\0\0AVI LIST'), /is a video/],
    ['Matroska', latin('\x1aE\xdf\xa3\x01\0\0\0'), /is a video/],
    ['Canon CR3', media('crx '), raw],
    ['Fujifilm RAF', latin('FUJIFILMCCD-RAW 0201'), raw],
    ['Olympus ORF', latin('IIRO\x08\0\0\0'), raw],
    ['Panasonic RW2', latin('IIU\0\x18\0\0\0'), raw],
    ['DNG', tiffFile({ ...grey, tags: { 50706: 0x01040000 } }), raw],
    ['Nikon NEF', tiffFile({ ...grey, tags: { 254: 1, 330: 8 } }), raw],
    ['a colour filter array', tiffFile({ ...grey, photometric: 32803 }), raw],
    ['Canon CR2', latin('II*\0\x10\0\0\0CR\x02\0\0\0\0\0\0\0'), raw],
    ['HEIC cut behind its brand', latin('\0\0\0\x18ftypheic'), heic],
    [
      'TIFF compressed with Zstandard',
      tiffFile({ ...grey, compression: 50000 }),
      /is compressed with ZSTD, which is not read; save it anew with LZW or Deflate/,
    ],
    ['HTML', latin('\r\n<!DOCTYPE html>\n<html><body>404</body></html>'), /is a web page \(HTML\)/],
    ['HTML behind a byte order mark', Buffer.from('\ufeff<HTML lang="de"><p>Größe</p>'), /is a web page/],
    ['HTML in UTF-16', Buffer.from('\ufeff<html><p>none</p></html>', 'utf16le'), /is a web page/],
    [
      'SVG',
      latin('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'),
      /is an SVG drawing/,
    ],
    ['an error as XML', latin('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /is XML/],
    ['an error as JSON', latin('{"error": "not found"}'), /is JSON/],
    ['text', latin('Not Found'), /is text/],
    ['long text of other letters', Buffer.from('ä'.repeat(5000)), /is text/],
    [
      'Git LFS',
      latin('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'),
      /is a Git LFS pointer.*git lfs pull/,
    ],
    ['PDF', latin('%PDF-1.7\n%\xe2\xe3'), /is a PDF document/],
    ['BMP', latin('BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0'), /is a BMP picture/],
    ['ICO', latin('\0\0\x01\0\x01\0\x10\x10\0\0'), /icon \(ICO\)/],
    ['Photoshop', latin('8BPS\0\x01\0\0\0\0\0\0\0\x03'), /Photoshop \(PSD\)/],
    ['JPEG XL', latin('\xff\x0a\xfa\x1f'), /is a JPEG XL picture/],
    ['JPEG XL in boxes', latin('\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl '), /is a JPEG XL picture/],
    ['JPEG 2000', latin('\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 '), /is a JPEG 2000 picture/],
    ['PNM', latin('P6\n1 1\n255\n\x01\x02\x03'), /is a PNM picture/],
    ['ZIP', latin('PK\x03\x04\x14\0'), /is a ZIP archive/],
    ['gzip', latin('\x1f\x8b\x08\0'), /is a gzip archive/],
    ['AppleDouble', latin('\0\x05\x16\x07\0\x02\0\0Mac OS X'), /AppleDouble/],
    ['NumPy', latin("\x93NUMPY\x01\0v\0{'descr'"), /is a NumPy array/],
    ['DICOM', Buffer.concat([Buffer.alloc(128), latin('DICM\x02\0')]), /is a DICOM picture/],
    ['zeros', Buffer.alloc(5000), /nothing but zeros/],
    ['nothing', Buffer.alloc(0), 'it is empty'],
    [
      'noise',
      Buffer.from(Array.from({ length: 2000 }, (_, at) => (at * at * 37 + 11) % 256)),
      /not a picture of a kind that is read/,
    ],
    [
      'an animated AVIF without a still picture',
      media('avis', ['avis', 'msf1']),
      /animated AVIF without a still picture/,
    ],
  ])('%s', async (_, bytes, reason) => {
    const message = await decodePixels(bytes, one).then(
      () => 'read',
      (error: unknown) => (error as Error).message,
    );
    expect(message).toMatch(/^cannot read the photo: [^\n]+$/);
    if (typeof reason === 'string') expect(message).toBe(`cannot read the photo: ${reason}`);
    else expect(message).toMatch(reason);
  });

  it('but no photo is taken for something else', async () => {
    const photo = sharp({ create: { width: 0x2020, height: 1, channels: 3, background: '#646464' } });
    for (const format of ['jpeg', 'png', 'webp', 'tiff', 'gif', 'avif'] as const) {
      const [red = 0] = await decodePixels(await photo.clone().toFormat(format).toBuffer(), one);
      expect(Math.abs(red - 100), format).toBeLessThan(3);
    }
  });
});
