import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { freeBytesOf } from '../disk.js';
import { UserError } from '../errors.js';
import { fileErrorCode, fileReason, makeFolder } from '../files.js';
import type { ModelEvent } from './modelEvents.js';
import { type Patience, persistently, stopped, Transient } from './persistence.js';
import { type Answer, ask } from './request.js';

/** After so many bytes a broken connection is taken for a new failure, not for one more. */
const STEP_FORWARD_BYTES = 2 ** 20;
/** Of a file whose length its server does not state: ONNX files are smaller. */
const MOST_UNSTATED_BYTES = 2 ** 31;

/** What a file's bytes must hash to: SHA-256, or what git names a blob by. */
export interface Check {
  readonly kind: 'sha256' | 'git';
  readonly hash: string;
}

/** A file that is to be loaded. */
export interface Wanted {
  readonly url: URL;
  readonly token?: string | undefined;
  /** Where it goes once it is whole and what it must be, */
  readonly place: string;
  /** and where it grows. */
  readonly part: string;
  readonly bytes?: number | undefined;
  readonly check?: Check | undefined;
  /** Whether it is what it should be, before it gets its place. @throws Error where it is not; it is not kept then. */
  readonly look?: (path: string) => Promise<void>;
  /** What messages call it. */
  readonly shown: string;
  /** What an answer means that is no file. */
  readonly refusal: (answer: Pick<Answer, 'status' | 'headers' | 'url'>) => UserError;
}

/**
 * Loads a file: from where an earlier attempt ended, if its beginning still fits. Nothing stands at its place before it is whole.
 * @throws UserError `download-failed`, `wrong-hash`, `write-failed`, `stopped`, and what `wanted.refusal` and `wanted.look` make.
 */
export async function* download(wanted: Wanted, patience: Patience): AsyncGenerator<ModelEvent, void> {
  const { place, part, check, shown } = wanted;
  await writing(wanted, () => makeFolder(dirname(part)));
  let began = await sizeOf(part);
  if (wanted.bytes !== undefined && began > wanted.bytes) began = await forget(wanted);
  checkRoom(dirname(place), (wanted.bytes ?? 0) - began, shown);
  let isSecond = false;
  while (true) {
    yield* persistently(shown, patience, () => load(wanted, patience));
    const found = check && (await hashOf(part, check.kind, patience.signal));
    if (found === check?.hash) break;
    await forget(wanted);
    // The beginning that lay there may have been of another file, and an end that nothing announced may be that of the connection:
    // fetch() takes a cut answer in chunks for a whole one where the server closes the connection behind it.
    const isTriedAgain = began > 0 || (wanted.bytes === undefined && !isSecond);
    if (!isTriedAgain)
      throw new UserError(
        'wrong-hash',
        `${shown}: expected the ${check?.kind === 'git' ? 'git hash' : 'SHA-256'} ${String(check?.hash)}, got ${String(found)}; it was not kept: load it again, or ask whoever offers it`,
      );
    began = 0;
    isSecond = true;
  }
  await wanted.look?.(part).catch(async (thrown: unknown) => {
    await forget(wanted);
    throw thrown;
  });
  await writing(wanted, () => rename(part, place));
  await rm(validatorOf(part), { force: true });
}

/** Hexadecimal SHA-256 of a file, or its name as a blob of git. @throws UserError `stopped`. */
export async function hashOf(path: string, kind: Check['kind'], signal?: AbortSignal): Promise<string> {
  const hash = createHash(kind === 'git' ? 'sha1' : 'sha256');
  if (kind === 'git') hash.update(`blob ${await sizeOf(path)}\0`);
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    if (signal?.aborted) throw stopped();
    hash.update(piece as Uint8Array);
  }
  return hash.digest('hex');
}

/** One attempt to have all of it in its part. */
async function* load(wanted: Wanted, patience: Patience): AsyncGenerator<ModelEvent, void> {
  const { url, token, part, shown, bytes } = wanted;
  const here = await sizeOf(part);
  if (bytes !== undefined && here === bytes && here > 0) return;
  const range = await rangeFrom(wanted, here);
  const answer = await ask({ url, token, headers: range ?? {} }, patience);
  try {
    const { status } = answer;
    if (status === 416 || (status === 206 && !startsAt(answer, here, range !== undefined))) {
      await forget(wanted);
      throw new Transient('the server does not go on from where it broke off');
    }
    if (status !== 200 && status !== 206) throw wanted.refusal(answer);
    const from = status === 206 ? here : 0;
    const length = lengthOf(answer);
    const total = length === undefined ? bytes : from + length;
    if (bytes !== undefined && total !== bytes)
      throw new UserError(
        'download-failed',
        `${shown}: the server states ${bytes} bytes, and sends ${String(total)}; try again later`,
      );
    await keepValidator(wanted, answer);
    const done = yield* append(wanted, answer, from, total);
    if (total !== undefined && done < total)
      throw new Transient(`the connection broke off ${after(done, total)} (${answer.url.host})`);
  } finally {
    await answer.close();
  }
}

/** Writes what comes behind the first `from` bytes of the part, and gives how many it has then. */
async function* append(
  wanted: Wanted,
  answer: Answer,
  from: number,
  total: number | undefined,
): AsyncGenerator<ModelEvent, number> {
  const file = await writing(wanted, () => open(wanted.part, from === 0 ? 'w' : 'a'));
  let done = from;
  try {
    for await (const piece of answer.pieces()) {
      if (done + piece.byteLength > (total ?? MOST_UNSTATED_BYTES))
        throw new UserError(
          'download-failed',
          `${wanted.shown}: the server sends more than the ${total ?? MOST_UNSTATED_BYTES} bytes that it may`,
        );
      await writing(wanted, () => file.appendFile(piece));
      done += piece.byteLength;
      yield { type: 'progress', file: wanted.shown, done, total };
    }
    await writing(wanted, () => file.sync());
    return done;
  } catch (thrown) {
    if (!(thrown instanceof Transient)) throw thrown;
    throw new Transient(`${thrown.message} ${after(done, total)}`, thrown.waitMs, done - from >= STEP_FORWARD_BYTES);
  } finally {
    await file.close();
  }
}

const unitOf = (count: number): [string, number, number] => {
  if (count < 1e4) return ['bytes', 1, 0];
  return count < 1e6 ? ['kB', 1e3, 1] : ['MB', 1e6, 1];
};

/** How far it came, in the unit of the whole. */
function after(done: number, total: number | undefined): string {
  const [unit, bytes, digits] = unitOf(total ?? done);
  const shown = (count: number) => (count / bytes).toFixed(digits);
  return `after ${shown(done)}${total === undefined ? '' : ` of ${shown(total)}`} ${unit}`;
}

/** What asks for the rest; undefined where the beginning cannot be told from another file's. */
async function rangeFrom({ part, check }: Wanted, here: number): Promise<Record<string, string> | undefined> {
  if (here === 0) return undefined;
  const range = { range: `bytes=${here}-` };
  if (check) return range;
  const validator = await readFile(validatorOf(part), 'utf8').catch(() => undefined);
  return validator === undefined ? undefined : { ...range, 'if-range': validator };
}

/** Where there is no hash, the server's own mark of this file's content tells whether it can go on. */
async function keepValidator(wanted: Wanted, { headers }: Answer): Promise<void> {
  if (wanted.check) return;
  const etag = headers.get('etag');
  await rm(validatorOf(wanted.part), { force: true });
  // A weak one does not stand for each byte.
  if (etag !== null && /^"[\x21-\x7e]*"$/.test(etag))
    await writing(wanted, () => writeFile(validatorOf(wanted.part), etag));
}

const validatorOf = (part: string) => `${part}.etag`;

function startsAt({ headers }: Answer, here: number, wasAsked: boolean): boolean {
  return wasAsked && headers.get('content-range')?.startsWith(`bytes ${here}-`) === true;
}

function lengthOf({ headers }: Answer): number | undefined {
  const length = headers.get('content-length');
  return length !== null && /^\d+$/.test(length) ? Number(length) : undefined;
}

/** Removes what there is of it. */
async function forget({ part }: Wanted): Promise<0> {
  for (const path of [part, validatorOf(part)]) await rm(path, { force: true });
  return 0;
}

/** @throws UserError `write-failed` where the disk of `folder` has no room for `bytes`. */
export function checkRoom(folder: string, bytes: number, shown: string): void {
  const free = freeBytesOf(folder);
  const megabytes = (count: number) => `${Math.ceil(count / 1e6)} MB`;
  if (bytes > free)
    throw new UserError(
      'write-failed',
      `${shown} takes ${megabytes(bytes)}, and the disk of ${folder} has ${megabytes(free)} free; ${ROOM}`,
    );
}

/** What names the caches' folders. */
const CACHES = 'HF_HUB_CACHE, ORT_TL_CACHE';
const ROOM = `make room, or name a cache folder on another disk (${CACHES})`;

/** Does something that writes. @throws UserError `write-failed`; a full disk gets back what the part took of it. */
async function writing<Result>(wanted: Wanted, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (['ENOSPC', 'EDQUOT'].includes(fileErrorCode(cause) ?? '')) await forget(wanted).catch(() => undefined);
    throw cannotKeep(wanted.place, cause);
  }
}

/** The error for a place in a cache where nothing can be written. */
export const cannotKeep = (path: string, cause: unknown): UserError =>
  new UserError('write-failed', `cannot write ${path}: ${fileReason(cause)}; ${remedyOf(cause)}`, { cause });

function remedyOf(cause: unknown): string {
  switch (fileErrorCode(cause)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return ROOM;
    case 'ENOTDIR':
    case 'EEXIST':
      return `a file stands where a folder must be; take it away, or name another cache folder (${CACHES})`;
    case 'EISDIR':
    case 'ENOTEMPTY':
      return `a folder stands where a file must be; take it away, or name another cache folder (${CACHES})`;
    default:
      return `name a cache folder that can be written (${CACHES})`;
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
