import { crc32, deflateSync } from 'node:zlib';

export interface PngPicture {
  readonly width: number;
  readonly height: number;
  /** Row by row; packed when `bits` is less than 8. */
  readonly samples: readonly number[];
  readonly kind: 'grey' | 'rgb' | 'palette' | 'grey and alpha' | 'rgb and alpha';
  readonly bits?: 1 | 2 | 4 | 8 | 16;
  /** R, G, B of each colour. */
  readonly colours?: readonly number[];
  /** The alpha of each colour, or the one colour that is transparent. */
  readonly transparent?: readonly number[];
  readonly icc?: Buffer;
  readonly orientation?: number;
}

const KINDS = {
  grey: [0, 1],
  rgb: [2, 3],
  palette: [3, 1],
  'grey and alpha': [4, 2],
  'rgb and alpha': [6, 4],
} as const;

/** A PNG by the fields of its specification (third edition). */
export function pngFile(picture: PngPicture): Buffer {
  const { width, height, samples, bits = 8 } = picture;
  const [type, channels] = KINDS[picture.kind];
  const chunk = (name: string, ...parts: Buffer[]) => {
    const body = Buffer.concat([Buffer.from(name), ...parts]);
    return Buffer.concat([int(body.length - 4), body, int(crc32(body))]);
  };
  const header = Buffer.concat([int(width), int(height), Buffer.from([bits, type, 0, 0, 0])]);
  const rows: Buffer[] = [];
  for (let at = 0; at < samples.length; at += width * channels) {
    const line = samples.slice(at, at + width * channels).map((value) => value.toString(2).padStart(bits, '0'));
    const bytes = line.join('').match(/.{1,8}/g) ?? [];
    rows.push(Buffer.from([0, ...bytes.map((byte) => parseInt(byte.padEnd(8, '0'), 2))]));
  }
  const shorts = (values: readonly number[]) => Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...(picture.icc ? [chunk('iCCP', Buffer.from('test\0\0'), deflateSync(picture.icc))] : []),
    ...(picture.colours ? [chunk('PLTE', Buffer.from(picture.colours))] : []),
    ...(picture.transparent
      ? [chunk('tRNS', picture.kind === 'palette' ? Buffer.from(picture.transparent) : shorts(picture.transparent))]
      : []),
    ...(picture.orientation ? [chunk('eXIf', exif(picture.orientation))] : []),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND'),
  ]);
}

function int(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

/** A TIFF of one entry, which is what EXIF is. */
function exif(orientation: number): Buffer {
  return Buffer.from([
    0x4d,
    0x4d,
    0,
    42,
    0,
    0,
    0,
    8,
    0,
    1,
    0x01,
    0x12,
    0,
    3,
    0,
    0,
    0,
    1,
    0,
    orientation,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
}
