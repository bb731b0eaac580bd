import type { Context } from 'hono';
import { z } from 'zod';
import { UserError } from '../../errors.js';
import type { PhotoUpload } from './photoAdder.js';
import { withoutStall } from './withoutStall.js';

/** Paths of a hundred thousand photos have room in it. */
const MOST_JSON_BYTES = 16 * 2 ** 20;
/** After so long without a byte nothing more is expected. */
const STALL_MS = 60_000;

/** The JSON that a request brings. @throws UserError `bad-request`, `too-large`. */
export async function readJson<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.infer<Schema>> {
  if (!/^application\/json *(;|$)/i.test(c.req.header('content-type') ?? ''))
    throw new UserError('bad-request', `${c.req.path} takes JSON (Content-Type: application/json)`);
  return checked(c, schema, parsed((await readBytes(c, MOST_JSON_BYTES)).toString('utf8')));
}

/** All that a request brings. @throws UserError `too-large`. */
export async function readBytes(c: Context, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = Number(c.req.header('content-length') ?? 0);
  const check = () => {
    if (bytes > most)
      throw new UserError(
        'too-large',
        `that is more than the ${Math.floor(most / 2 ** 20)} MB that can be sent at once`,
      );
  };
  check();
  bytes = 0;
  for await (const chunk of bodyOf(c)) {
    bytes += chunk.length;
    check();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** What stands behind the `?` of a request. @throws UserError `bad-request`. */
export function readQuery<Schema extends z.ZodType>(c: Context, schema: Schema): z.infer<Schema> {
  return checked(c, schema, c.req.query());
}

/** The file that a request brings. */
export function uploadOf(c: Context, name: string): PhotoUpload {
  const stated = Number(c.req.header('content-length') ?? NaN);
  return {
    name,
    body: bodyOf(c),
    signal: c.req.raw.signal,
    ...(Number.isSafeInteger(stated) && stated >= 0 ? { bytes: stated } : {}),
  };
}

function checked<Schema extends z.ZodType>(c: Context, schema: Schema, given: unknown): z.infer<Schema> {
  const found = schema.safeParse(given);
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new UserError('bad-request', `${c.req.path}: ${where === '' ? '' : `${where}: `}${issue?.message ?? 'wrong'}`);
}

/** Undefined for what is no JSON, which no schema takes. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws UserError `cut-off` where it breaks off, or nothing more comes. */
async function* bodyOf(c: Context): AsyncGenerator<Uint8Array> {
  const { body } = c.req.raw;
  if (!body) return;
  try {
    yield* withoutStall(body, STALL_MS);
  } catch (cause) {
    throw new UserError('cut-off', 'what was sent has not arrived whole; send it again', { cause });
  }
}
