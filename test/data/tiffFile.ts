import { deflateSync } from 'node:zlib';

/** What a TIFF holds; the numbers are those of TIFF 6.0. */
export interface TiffPicture {
  readonly width: number;
  readonly height: number;
  /** As many a pixel as `samplesPerPixel`, row by row; packed when `bits` is less than 8. */
  readonly samples: readonly number[];
  readonly samplesPerPixel: number;
  readonly bits?: number;
  /** 0 white is zero, 1 black is zero (default), 2 RGB, 3 palette, 5 CMYK, 8 CIE L*a*b*. */
  readonly photometric?: number;
  readonly extraSamples?: readonly number[];
  /** 1 whole numbers (default), 2 signed, 3 floating point. */
  readonly sampleFormat?: number;
  readonly isPlanar?: boolean;
  readonly isDeflated?: boolean;
  /** What it says of its compression, whatever it is. */
  readonly compression?: number;
  readonly orientation?: number;
  readonly icc?: Uint8Array;
  /** Reds, greens and blues of a palette, 16 bits each. */
  readonly colours?: readonly number[];
  readonly littleEndian?: boolean;
  readonly isBig?: boolean;
  /** Further tags, of type LONG. */
  readonly tags?: Readonly<Record<number, number>>;
}

const TYPES = { SHORT: 3, LONG: 4, UNDEFINED: 7, LONG8: 16 } as const;

/** A file of one strip (one a plane where it is planar), its directory at the end. */
export function tiffFile(picture: TiffPicture): Buffer {
  const { width, height, samplesPerPixel, bits = 8, photometric = 1, sampleFormat = 1 } = picture;
  const { littleEndian = true, isBig = false, isPlanar = false } = picture;
  const number = (value: number, bytes: number): Buffer => {
    const buffer = Buffer.alloc(bytes);
    if (bytes === 8) {
      if (littleEndian) buffer.writeBigUInt64LE(BigInt(value));
      else buffer.writeBigUInt64BE(BigInt(value));
    } else if (littleEndian) buffer.writeUIntLE(value, 0, bytes);
    else buffer.writeUIntBE(value, 0, bytes);
    return buffer;
  };
  const sample = (value: number): Buffer => {
    if (sampleFormat !== 3) return number(value, bits / 8);
    const buffer = Buffer.alloc(bits / 8);
    if (bits === 32) return littleEndian ? (buffer.writeFloatLE(value), buffer) : (buffer.writeFloatBE(value), buffer);
    return littleEndian ? (buffer.writeDoubleLE(value), buffer) : (buffer.writeDoubleBE(value), buffer);
  };
  const rows = (samples: readonly number[], perRow: number): Buffer => {
    if (bits >= 8) return Buffer.concat(samples.map(sample));
    const packed: number[] = [];
    for (let at = 0; at < samples.length; at += perRow) {
      const line = samples.slice(at, at + perRow).map((value) => value.toString(2).padStart(bits, '0'));
      packed.push(...(line.join('').match(/.{1,8}/g) ?? []).map((byte) => parseInt(byte.padEnd(8, '0'), 2)));
    }
    return Buffer.from(packed);
  };
  const planes = isPlanar
    ? Array.from({ length: samplesPerPixel }, (_, plane) =>
        rows(
          picture.samples.filter((_, at) => at % samplesPerPixel === plane),
          width,
        ),
      )
    : [rows(picture.samples, width * samplesPerPixel)];
  const strips = planes.map((plane) => (picture.isDeflated ? deflateSync(plane) : plane));

  const tags: [tag: number, type: keyof typeof TYPES, values: readonly number[] | Uint8Array][] = [
    [256, 'LONG', [width]],
    [257, 'LONG', [height]],
    [258, 'SHORT', Array<number>(samplesPerPixel).fill(bits)],
    [259, 'SHORT', [picture.compression ?? (picture.isDeflated ? 8 : 1)]],
    [262, 'SHORT', [photometric]],
    [274, 'SHORT', [picture.orientation ?? 1]],
    [277, 'SHORT', [samplesPerPixel]],
    [278, 'LONG', [height]],
    [284, 'SHORT', [isPlanar ? 2 : 1]],
    [339, 'SHORT', Array<number>(samplesPerPixel).fill(sampleFormat)],
    ...Object.entries(picture.tags ?? {}).map(([tag, value]): [number, 'LONG', number[]] => [
      Number(tag),
      'LONG',
      [value],
    ]),
  ];
  if (picture.extraSamples) tags.push([338, 'SHORT', picture.extraSamples]);
  if (picture.icc) tags.push([34675, 'UNDEFINED', picture.icc]);
  if (picture.colours) tags.push([320, 'SHORT', picture.colours]);

  const parts: Buffer[] = [];
  let end = isBig ? 16 : 8;
  /** Gives the place where the bytes lie. */
  const place = (bytes: Buffer): number => {
    const at = end;
    const padded = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
    parts.push(padded);
    end += padded.length;
    return at;
  };
  const offsets = strips.map(place);
  tags.push([273, 'LONG', offsets], [279, 'LONG', strips.map((strip) => strip.length)]);
  const wide = isBig ? 8 : 4;
  const entries = tags
    .sort(([a], [b]) => a - b)
    .map(([tag, type, values]) => {
      const size = { SHORT: 2, LONG: 4, UNDEFINED: 1, LONG8: 8 }[type];
      const bytes = Buffer.concat(Array.from(values, (value) => number(value, size)));
      const field =
        bytes.length <= wide ? Buffer.concat([bytes, Buffer.alloc(wide - bytes.length)]) : number(place(bytes), wide);
      return Buffer.concat([number(tag, 2), number(TYPES[type], 2), number(values.length, wide), field]);
    });
  const directory = end;
  const order = Buffer.from(littleEndian ? 'II' : 'MM');
  const head = isBig
    ? [order, number(43, 2), number(8, 2), number(0, 2), number(directory, 8)]
    : [order, number(42, 2), number(directory, 4)];
  return Buffer.concat([...head, ...parts, number(entries.length, isBig ? 8 : 2), ...entries, number(0, wide)]);
}
