import { findPhotos, isRun, readInput, type Unlabelled, UserError } from '../internal.js';
import type { Terminal } from './terminal.js';
import { STANDARD_INPUT } from './verb.js';

/** A photo, or a list of a million paths, is no longer. */
const MOST_INPUT_BYTES = 2 ** 28;

/** A photo to look at: a file, or the bytes that came through standard input. */
export interface PhotoArgument {
  readonly name: string;
  readonly content: Buffer | Unlabelled;
}

/**
 * What words on the command line stand for: files, folders (every photo in them), globs, and `-` for standard input, which
 * holds one photo, or paths in lines or separated by zero bytes. A line on standard error tells what was left out of a folder or a glob.
 * @throws UserError `no-photos` for no words at all, an empty folder, or a pattern that nothing matches, `bad-arguments` for a model.
 */
export async function photosOf(terminal: Terminal, words: readonly string[], verb: string): Promise<PhotoArgument[]> {
  if (words.length === 0)
    throw new UserError('no-photos', `expected photos, as in: ort-tl ${verb} --model model.onnx some.jpg photos/`);
  const model = words.find((word) => /\.(onnx|ort)$/i.test(word) || isRun(word));
  if (model !== undefined)
    throw new UserError(
      'bad-arguments',
      `${model} is a model, not a photo; name it so: ort-tl ${verb} --model ${model} some.jpg`,
    );
  const photos: PhotoArgument[] = [];
  for (const word of words) {
    if (word === STANDARD_INPUT) photos.push(...(await photosOfInput(verb)));
    else {
      const found = await findPhotos(word);
      photos.push(...found.photos.map(argumentOf));
      for (const line of found.warnings) terminal.warn(`warning: ${line}`);
    }
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
  const found = readInput(bytes);
  if (found.kind === 'photo') return [{ name: '-', content: bytes }];
  if (found.kind === 'list' && found.photos.length > 0) return found.photos.map(argumentOf);
  throw new UserError(
    'no-photos',
    found.kind === 'list'
      ? `the list on standard input names no photos; pipe a photo or paths into ort-tl ${verb} -`
      : `standard input is neither a photo nor a list of paths (it begins with the bytes ${bytes.toString('hex', 0, 8).replaceAll(/..(?=.)/g, '$& ')}); pipe a photo or paths into ort-tl ${verb} -`,
  );
}

const argumentOf = (photo: Unlabelled): PhotoArgument => ({ name: photo.path, content: photo });
