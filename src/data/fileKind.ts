/** Why a file is not read, told from its bytes; the same whenever it is asked. */
export class NotRead extends Error {}

/** How many bytes are searched for what a text begins with. */
const HEAD_BYTES = 1024;
/** Where a HEIF file tells what its pictures are coded with. */
const HEIF_HEAD_BYTES = 65_536;

const HEVC_BRANDS = ['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'hevm', 'hevs'];
const AVIF_BRANDS = ['avif', 'avis'];
const VIDEO_BRANDS = /^(qt {2}|iso[m\d]|mp4\d|avc\d|M4[AVP] |3g[p2].|dash|f4v |MSNV|mmp4|hvc\d|XAVC|NDS.)$/;

const HEIC = 'it is a HEIC photo (iPhone), which is not read; convert it to JPEG';
export const RAW = "it is a camera's raw photo, which is not read; develop it to JPEG or TIFF";
const VIDEO = 'it is a video, not a photo; save its frames as JPEG';

function picture(kind: string): string {
  return `it is a ${kind} picture, which is not read; convert it to JPEG or PNG`;
}

/** What begins with these bytes (Latin-1), which no format that is read does. */
const SIGNATURES: readonly (readonly [signature: string, reason: string])[] = [
  ['%PDF-', 'it is a PDF document, not a photo; save its pages as JPEG'],
  ['%!PS', 'it is a PostScript document, not a photo'],
  ['8BPS', picture('Photoshop (PSD)')],
  ['\x00\x00\x00\x0cJXL \r\n\x87\n', picture('JPEG XL')],
  ['\xff\x0a', picture('JPEG XL')],
  ['\x00\x00\x00\x0cjP  \r\n\x87\n', picture('JPEG 2000')],
  ['\xff\x4f\xff\x51', picture('JPEG 2000')],
  ['\x00\x00\x01\x00', picture('Windows icon (ICO)')],
  ['\x00\x00\x02\x00\x01\x00', picture('Windows cursor (CUR)')],
  ['\x76\x2f\x31\x01', picture('OpenEXR')],
  ['#?RADIANCE', picture('Radiance HDR')],
  ['DDS ', picture('DDS')],
  ['BPG\xfb', picture('BPG')],
  ['FUJIFILMCCD-RAW', RAW],
  ['IIRO', RAW],
  ['IIRS', RAW],
  ['MMOR', RAW],
  ['IIU\x00', RAW],
  ['II\x1a\x00\x00\x00HEAPCCDR', RAW],
  ['FOVb', RAW],
  ['\x00MRM', RAW],
  ['\x1aE\xdf\xa3', VIDEO],
  ['\x00\x00\x01\xba', VIDEO],
  ['\x00\x00\x01\xb3', VIDEO],
  ['FLV\x01', VIDEO],
  ['0&\xb2u\x8ef\xcf\x11', VIDEO],
  ['\x00\x05\x16\x07', 'it is what macOS keeps beside a photo (AppleDouble), not the photo; remove it'],
  ['PK\x03\x04', 'it is a ZIP archive, not a photo; unpack it'],
  ['\x1f\x8b', 'it is a gzip archive, not a photo; unpack it'],
  ['Rar!\x1a\x07', 'it is a RAR archive, not a photo; unpack it'],
  ["7z\xbc\xaf'\x1c", 'it is a 7z archive, not a photo; unpack it'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'it is an Office document or Thumbs.db, not a photo'],
  ['\x93NUMPY', 'it is a NumPy array, not a photo; save it as PNG'],
  ['\x89HDF\r\n', 'it is an HDF5 file, not a photo'],
  ['SIMPLE  =', picture('FITS')],
];

/** @throws {@link NotRead} for a file that is known to be something else than a photo that is read. */
export function checkKind(bytes: Buffer): void {
  const reason = foreignKind(bytes);
  if (reason !== undefined) throw new NotRead(reason);
}

function foreignKind(bytes: Buffer): string | undefined {
  if (bytes.length === 0) return 'it is empty';
  const [first = 0, second = 0, third = 0] = bytes;
  // Nearly all photos are JPEG or PNG.
  if ((first === 0xff && second === 0xd8) || (first === 0x89 && second === 0x50 && third === 0x4e)) return undefined;
  const start = bytes.toString('latin1', 0, 32);
  const known = SIGNATURES.find(([signature]) => start.startsWith(signature));
  if (known) return known[1];
  if (start.startsWith('RIFF') && start.startsWith('AVI ', 8)) return VIDEO;
  if (start.startsWith('BM') && isBitmap(bytes)) return picture('BMP');
  if (/^P[1-7]\s+[#\d]/.test(start)) return picture('PNM');
  if (start.startsWith('\0'.repeat(16))) return kindOfZeros(bytes);
  if (/^....(ftyp|moov|mdat|wide|skip|pnot)/s.test(start)) return kindOfBoxes(bytes);
  return /^(GIF8|RIFF|II|MM)/.test(start) ? undefined : kindOfText(bytes);
}

/** A BMP's header says how long the next one is. */
function isBitmap(bytes: Buffer): boolean {
  return bytes.length >= 18 && [12, 16, 40, 52, 56, 64, 108, 124].includes(bytes.readUInt32LE(14));
}

function kindOfZeros(bytes: Buffer): string | undefined {
  if (bytes.every((byte) => byte === 0)) return 'it holds nothing but zeros, as a broken copy or download does';
  return bytes.toString('latin1', 128, 132) === 'DICM' ? picture('DICOM') : undefined;
}

function kindOfBoxes(bytes: Buffer): string | undefined {
  const [major, ...others] = brands(bytes);
  // QuickTime files had no brands at first.
  if (major === undefined) return VIDEO;
  if (HEVC_BRANDS.includes(major)) return HEIC;
  if (AVIF_BRANDS.some((brand) => brand === major || others.includes(brand)))
    return major === 'avis' && !hasStillPicture(bytes)
      ? 'it is an animated AVIF without a still picture, which is not read; convert it to GIF or WebP'
      : undefined;
  const head = bytes.subarray(0, HEIF_HEAD_BYTES);
  if (
    others.some((brand) => HEVC_BRANDS.includes(brand)) ||
    (/^(mif|msf|miaf|1pic)/.test(major) && head.includes('hvc1'))
  )
    return HEIC;
  if (major === 'crx ') return RAW;
  if (major === 'jxl ') return picture('JPEG XL');
  if (/^jp[2xm] /.test(major)) return picture('JPEG 2000');
  if (/^(avci|avcs)$/.test(major)) return picture('HEIF (H.264)');
  return VIDEO_BRANDS.test(major) ? VIDEO : undefined;
}

/** The major brand of an ISO media file, then those that it is compatible with; none for any other file. */
function brands(bytes: Buffer): string[] {
  if (bytes.length < 12 || bytes.toString('latin1', 4, 8) !== 'ftyp') return [];
  const end = Math.min(bytes.readUInt32BE(0), bytes.length, HEAD_BYTES);
  const found = [bytes.toString('latin1', 8, 12)];
  for (let at = 16; at + 4 <= end; at += 4) found.push(bytes.toString('latin1', at, at + 4));
  return found;
}

/** Whether there is a `meta` box beside the film. */
function hasStillPicture(bytes: Buffer): boolean {
  let at = 0;
  for (let box = 0; box < 64 && at + 8 <= bytes.length; box++) {
    if (bytes.toString('latin1', at + 4, at + 8) === 'meta') return true;
    const size = bytes.readUInt32BE(at);
    if (size < 8) return false;
    at += size;
  }
  return false;
}

/**
 * A copy of an animated AVIF that the decoder takes for a still one, whose picture is the first frame; any other file as it is.
 * libvips 8.18 goes by the major brand, and knows `avif` but not `avis`.
 */
export function asStillPicture(bytes: Buffer): Buffer {
  const [major, ...others] = brands(bytes);
  if (major === undefined || major === 'avif') return bytes;
  if (!AVIF_BRANDS.some((brand) => brand === major || others.includes(brand))) return bytes;
  const still = Buffer.from(bytes);
  still.write('avif', 8, 'latin1');
  return still;
}

function kindOfText(bytes: Buffer): string | undefined {
  const head = bytes.subarray(0, HEAD_BYTES);
  // In UTF-16 every other byte of what is looked for here is zero.
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const text = head
    .toString('utf8')
    .replaceAll(isUtf16 ? /[\0\ufffd]/g : /^\ufeff/g, '')
    .trimStart();
  if (text.startsWith('version https://git-lfs.github.com/spec/'))
    return 'it is a Git LFS pointer, not the photo itself; run git lfs pull';
  if (/^<(\?xml|!doctype svg|!--|svg)/i.test(text) && /<svg[\s>]/i.test(text))
    return 'it is an SVG drawing, which is not read; convert it to PNG';
  if (/^<(!doctype html|html|head|body|script|meta|title|!--)/i.test(text))
    return 'it is a web page (HTML), not a photo; download the photo again';
  // Encoded pictures have control characters within their first bytes.
  if (text === '' || /[^\P{Cc}\s]/u.test(text)) return undefined;
  // The last character may be cut.
  if (/\ufffd(?!\ufffd*$)/.test(text)) return undefined;
  if (/^<[?a-z]/i.test(text)) return 'it is XML, not a photo; download the photo again';
  if (/^[[{]/.test(text)) return 'it is JSON, not a photo; download the photo again';
  return 'it is text, not a photo';
}
