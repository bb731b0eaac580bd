import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';

/** How a list of photos is written: UTF-16 where a byte order mark or its zeros say so, else UTF-8. */
export type ListEncoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** Tells by the first bytes of a list: names are mostly ASCII, of which UTF-16 makes every second byte zero. */
export function encodingOf(start: Uint8Array): ListEncoding {
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf-16le';
  if (start[0] === 0xfe && start[1] === 0xff) return 'utf-16be';
  const some = start.subarray(0, 64);
  const zeros = (first: number) => some.filter((byte, at) => at % 2 === first && byte === 0).length;
  const most = some.length > 3 ? (3 * Math.floor(some.length / 2)) / 4 : Infinity;
  if (zeros(1) >= most && zeros(0) === 0) return 'utf-16le';
  return zeros(0) >= most && zeros(1) === 0 ? 'utf-16be' : 'utf-8';
}

/**
 * The text of a list, piece by piece, without its byte order mark.
 * Throws a `RangeError` that tells the line where it is neither UTF-8 nor UTF-16.
 */
export async function* textOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  let lines = 1;
  let waiting = Buffer.alloc(0);
  const decode = (decoded: TextDecoder, bytes: Buffer, stream: boolean) => {
    try {
      return decoded.decode(bytes, { stream });
    } catch {
      throw new RangeError(String(lines + linesBeforeWrong(bytes)));
    }
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([waiting, chunk]);
    waiting = Buffer.alloc(0);
    if (!decoder && bytes.length < 64) {
      waiting = bytes;
      continue;
    }
    decoder ??= new TextDecoder(encodingOf(bytes), { fatal: true });
    const text = decode(decoder, bytes, true);
    lines += text.split('\n').length - 1;
    yield text;
  }
  decoder ??= new TextDecoder(encodingOf(waiting), { fatal: true });
  yield decode(decoder, waiting, false);
}

/** Lines that end before the first one that is not UTF-8. */
function linesBeforeWrong(bytes: Buffer): number {
  let at = 0;
  for (let count = 0; ; count++) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0 || !isUtf8(bytes.subarray(at, end))) return count;
    at = end + 1;
  }
}
