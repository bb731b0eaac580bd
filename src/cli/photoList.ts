import { findPhotos, UserError } from '../index.js';
import { STANDARD_INPUT } from './verb.js';

/** A photo, or a list of a million paths, is no longer. */
const MOST_INPUT_BYTES = 2 ** 28;

/** A photo to look at: a file, or the bytes that came through standard input. */
export interface PhotoArgument {
  readonly name: string;
  readonly content: string | Buffer;
}

/**
 * What words on the command line stand for: files, folders (every photo in them), globs, and `-` for standard input, which
 * holds one photo or, a line each, paths.
 * @throws UserError `no-photos` for no words at all, an empty folder, or a pattern that nothing matches.
 */
export async function photosOf(words: readonly string[], verb: string): Promise<PhotoArgument[]> {
  if (words.length === 0)
    throw new UserError('no-photos', `expected photos, as in: ort-tl ${verb} --model model.onnx some.jpg photos/`);
  const photos: PhotoArgument[] = [];
  for (const word of words) {
    if (word === STANDARD_INPUT) photos.push(...(await photosOfInput(verb)));
    else photos.push(...(await findPhotos(word)).map((path) => ({ name: path, content: path })));
  }
  return photos;
}

async function photosOfInput(verb: string): Promise<PhotoArgument[]> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(Buffer.from(chunk as Uint8Array));
    length += chunks.at(-1)?.length ?? 0;
    if (length > MOST_INPUT_BYTES)
      throw new UserError(
        'no-photos',
        `standard input goes on after ${MOST_INPUT_BYTES} bytes; pipe one photo, or a list of paths`,
      );
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length === 0)
    throw new UserError('no-photos', `standard input is empty; pipe a photo or paths into ort-tl ${verb} -`);
  // No path has a zero byte, and every image file has.
  if (bytes.includes(0)) return [{ name: '-', content: bytes }];
  const lines = bytes.toString('utf8').split(/\r?\n/);
  return lines.filter((line) => line !== '').map((path) => ({ name: path, content: path }));
}
