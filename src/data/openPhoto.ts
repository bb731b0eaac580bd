import type { Metadata, Sharp } from 'sharp';
import { asStillPicture, checkKind, NotRead } from './fileKind.js';
import { Gate } from './gate.js';
import type { Size } from './geometry.js';
import { convertToSrgb, srgbConversion, toByte } from './iccProfile.js';
import type { PhotoContent } from './photo.js';
import { sharp, sharpVersion } from './sharp.js';
import { type TiffBands, tiffBands } from './tiff.js';

/** Names how photos become pixels; the number is to be raised whenever some photo comes out with others. */
export const decoderVersion = `${sharpVersion}/3`;

const OPTIONS = { failOn: 'error', sequentialRead: true } as const;
/** A picture with more pixels than these is no photo; sharp's own limit. */
const MOST_PIXELS = 0x3fff ** 2;
/** What is unpacked as a whole, in bytes. */
const MOST_UNPACKED_BYTES = 2 ** 31 - 1;

/** Pictures that are unpacked as a whole take turns, one after another. */
const unpacking = new Gate();

export interface OpenPhoto {
  /**
   * Without transparency (on white), in sRGB once it is written, and upright once `autoOrient` is the last that is asked of it: what is cut out
   * after that makes sharp turn the whole photo before it shrinks it, which unpacks all of a large JPEG and takes more than three times as long.
   */
  readonly image: Sharp;
  /** The size of the upright photo. */
  readonly size: Size;
}

/**
 * Opens a photo for sharp; the one place where photos are opened, so that all that is made of one shows the same pixels.
 * @throws NotRead, or what sharp throws for a damaged file.
 */
export async function openPhoto(content: PhotoContent): Promise<OpenPhoto> {
  if ('pixels' in content) {
    const { pixels, width, height } = content;
    return { image: ofPixels(pixels, 3, content), size: { width, height } };
  }
  checkKind(content);
  const file = asStillPicture(content);
  const bands = tiffBands(file);
  const metadata = await sharp(file, { ...OPTIONS, limitInputPixels: false, limitInputChannels: 0 }).metadata();
  check(metadata, bands);
  const { autoOrient: size, depth, space, icc } = metadata;
  const isGrey = space === 'grey16';
  // sharp takes RGB of 16 bits to Display P3, and leaves grey of 16 bits as it is.
  const isProfiled = depth === 'ushort' && icc !== undefined && (isGrey || space === 'rgb16');
  const conversion = isProfiled ? srgbConversion(icc, isGrey ? 'GRAY' : 'RGB ') : undefined;
  // It goes to 8 bits before its profile is applied, which then is as right as for any picture of 8 bits.
  const narrowed = isProfiled && !conversion ? (isGrey ? 'b-w' : 'srgb') : undefined;
  const isPlain = !bands || bands.extras === 0 || (bands.extras === 1 && bands.alpha === 0);
  if (isPlain && !conversion) {
    const image = sharp(file, OPTIONS).flatten({ background: '#ffffff' });
    return { image: narrowed ? image.pipelineColourspace(narrowed) : image, size };
  }

  const bytes = size.width * size.height * metadata.channels * (depth === 'ushort' ? 2 : 1);
  if (bytes > MOST_UNPACKED_BYTES)
    throw new NotRead(
      `it is ${describe(size)} pixels with ${metadata.channels} bands, which is too much; convert it to RGB of 8 bits`,
    );
  return unpacking.byItself(async () => {
    const staysWide = depth === 'ushort' && narrowed === undefined && (isGrey || space === 'rgb16');
    const whole = sharp(file, { ...OPTIONS, limitInputChannels: 0, ignoreIcc: conversion !== undefined })
      .autoOrient()
      .toColourspace(staysWide ? space : 'srgb')
      .raw({ depth: staysWide ? 'ushort' : 'uchar' });
    if (narrowed) whole.pipelineColourspace(narrowed);
    const { data, info } = await whole.toBuffer({ resolveWithObject: true });
    const colours = staysWide && isGrey ? 1 : 3;
    const hasAlpha = bands ? bands.alpha !== undefined : metadata.hasAlpha;
    const alpha = hasAlpha ? colours + (bands?.alpha ?? 0) : undefined;
    const samples = staysWide
      ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2)
      : new Uint8Array(data.buffer, data.byteOffset, data.length);
    const pixels =
      conversion && samples instanceof Uint16Array
        ? convertToSrgb(conversion, samples, info.channels, alpha)
        : pick(samples, info.channels, colours, alpha);
    return { image: ofPixels(pixels, alpha === undefined ? 3 : 4, size), size };
  });
}

function ofPixels(pixels: Uint8Array, channels: 3 | 4, { width, height }: Size): Sharp {
  return sharp(pixels, { ...OPTIONS, raw: { width, height, channels } }).flatten({ background: '#ffffff' });
}

/** @throws NotRead */
function check({ autoOrient: size, channels, format, depth, space }: Metadata, bands: TiffBands | undefined): void {
  if (size.width * size.height > MOST_PIXELS)
    throw new NotRead(
      `it is ${describe(size)} pixels, more than the ${Math.floor(MOST_PIXELS / 1e6)} million that a photo may have; shrink it`,
    );
  if (!bands && channels > 4) throw new NotRead(`it has ${channels} bands; convert it to RGB`);
  // libvips knows the range of L*a*b*.
  if (depth !== 'uchar' && depth !== 'ushort' && space !== 'labs')
    throw new NotRead(`its ${format} samples are of the type ${depth}; convert it to 8 or 16 bits`);
}

function describe({ width, height }: Size): string {
  return `${width.toLocaleString('en-US')} × ${height.toLocaleString('en-US')}`;
}

/** The first three bands, or the first one thrice, and `alpha`, with 8 bits each. */
function pick(
  samples: Uint8Array | Uint16Array,
  channels: number,
  colours: 1 | 3,
  alpha: number | undefined,
): Uint8Array {
  const isWide = samples instanceof Uint16Array;
  const pixels = samples.length / channels;
  const taken = colours === 1 ? [0, 0, 0] : [0, 1, 2];
  if (alpha !== undefined) taken.push(alpha);
  const result = new Uint8Array(pixels * taken.length);
  let to = 0;
  for (let pixel = 0; pixel < pixels; pixel++)
    for (const band of taken) {
      const sample = samples[pixel * channels + band] ?? 0;
      result[to++] = isWide ? toByte(sample) : sample;
    }
  return result;
}
