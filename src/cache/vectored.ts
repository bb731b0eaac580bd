import { readv } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Buffers that one call of the kernel takes: IOV_MAX of Linux and macOS. */
const MOST_BUFFERS = 1024;

/**
 * Fills buffers, one behind another, from `position` on, in as many calls as that takes. Gives the bytes that were there: fewer than
 * asked for where the file ends before.
 */
export function readAll(descriptor: number, into: readonly Uint8Array[], position: number): Promise<number> {
  return inCalls(
    into,
    position,
    (some, at) =>
      new Promise((resolve, reject) => {
        readv(descriptor, some, at, (error, bytes) => {
          if (error) reject(error);
          else resolve(bytes);
        });
      }),
  );
}

/** Writes buffers, one behind another, from `position` on, in as many calls as that takes. Gives the bytes that were taken. */
export function writeAll(file: FileHandle, parts: readonly Uint8Array[], position: number): Promise<number> {
  return inCalls(parts, position, async (some, at) => (await file.writev(some, at)).bytesWritten);
}

async function inCalls(
  buffers: readonly Uint8Array[],
  position: number,
  call: (some: Uint8Array[], position: number) => Promise<number>,
): Promise<number> {
  let rest = buffers;
  let done = 0;
  while (rest.length > 0) {
    const some = rest.slice(0, MOST_BUFFERS);
    const wanted = some.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const bytes = await call(some, position + done);
    done += bytes;
    if (bytes === 0 && wanted > 0) break;
    rest = bytes === wanted ? rest.slice(some.length) : behind(rest, bytes);
  }
  return done;
}

/** What is left of buffers behind so many bytes. */
function behind(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let before = 0;
  return buffers.flatMap((buffer) => {
    const from = Math.max(0, Math.min(buffer.byteLength, bytes - before));
    before += buffer.byteLength;
    return from === buffer.byteLength ? [] : [buffer.subarray(from)];
  });
}
