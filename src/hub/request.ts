import { UserError } from '../errors.js';
import { fileErrorCode } from '../files.js';
import { packageVersion } from '../version.js';
import { isLocal, shownAddress } from './modelSource.js';
import { type Patience, proxyHint, stopped, Transient } from './persistence.js';

const STALL_MS = 60_000;
const MOST_REDIRECTS = 10;
/** What does not get better by waiting: there is no such host, or it is not who it says it is. */
const LASTING = /^(?:ENOTFOUND|CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_SSL_)/;

/** What ends a connection that there was; a body that is shorter than its stated length is one too. */
const BROKEN = /^(?:UND_ERR_SOCKET|UND_ERR_ABORTED|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|ECONNRESET|EPIPE|HPE_\w+)$/;

export interface Asked {
  readonly method?: 'GET' | 'HEAD';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** It goes to the host of `url` alone. */
  readonly token?: string | undefined;
  /** Whether a redirect to another host is the answer, and not followed. */
  readonly staysHere?: boolean;
}

/** What a server has answered. Its body has to be read to its end, or closed. */
export interface Answer {
  readonly status: number;
  /** Where it comes from: the last address to which redirects led. */
  readonly url: URL;
  /** Also those of redirects on the way, where the last has none. */
  readonly headers: Headers;
  /** Its body, piece by piece. @throws Transient where it breaks off, UserError `stopped`. */
  readonly pieces: () => AsyncGenerator<Uint8Array, void>;
  readonly close: () => Promise<void>;
}

/**
 * Asks a server, once, and follows redirects: the token never goes to another host, nor back from there, and nothing that was asked for
 * encrypted comes unencrypted.
 * @throws Transient for what may be over a moment later: 408, 429, 5xx, a broken connection. UserError `download-failed`, `stopped`.
 */
export async function ask(asked: Asked, patience: Patience): Promise<Answer> {
  let { url, token } = asked;
  const headers = new Headers();
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const watch = new Watch(patience);
    const response = await fetchOnce({ ...asked, url, token }, watch);
    for (const [name, value] of response.headers) headers.set(name, value);
    const next = nextOf(url, response);
    const answer = answerOf(response, headers, watch, url);
    if (!next || (asked.staysHere && next.origin !== url.origin)) {
      const failure = transientFailure(response, url);
      if (!failure) return answer;
      await answer.close();
      throw failure;
    }
    await answer.close();
    // What a redirect says of itself is not of what it leads to.
    for (const name of ['content-length', 'location', 'etag', 'retry-after', 'x-error-code', 'x-error-message'])
      headers.delete(name);
    if (next.origin !== url.origin) token = undefined;
    url = next;
  }
  throw new UserError(
    'download-failed',
    `${shownAddress(asked.url)} leads from one address to the next without an end`,
  );
}

/** The text of an answer. @throws UserError `download-failed` where it is longer than `mostBytes`; as {@link Answer.pieces}. */
export async function textOf(answer: Answer, mostBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of answer.pieces()) {
    bytes += piece.byteLength;
    if (bytes > mostBytes)
      throw new UserError('download-failed', `the server answers with more than ${mostBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

async function fetchOnce({ method = 'GET', url, headers, token }: Asked, watch: Watch): Promise<Response> {
  try {
    return await fetch(url, {
      method,
      redirect: 'manual',
      signal: watch.signal,
      headers: {
        // Compressed, it would have other bytes and another length than what the server states.
        'accept-encoding': 'identity',
        'user-agent': `ort-tl/${packageVersion}; node/${process.versions.node}`,
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
  } catch (thrown) {
    watch.end();
    throw watch.failure(thrown, url);
  }
}

/** Where a redirect leads; undefined for any other answer. @throws UserError `download-failed` for a place where it must not lead. */
export function nextOf(url: URL, { status, headers }: Pick<Response, 'status' | 'headers'>): URL | undefined {
  const location = headers.get('location');
  if (![301, 302, 303, 307, 308].includes(status) || location === null) return undefined;
  const refuse = (why: string) =>
    new UserError('download-failed', `${shownAddress(url)} leads to ${why}; it is not followed`);
  let next: URL;
  try {
    next = new URL(location, url);
  } catch {
    throw refuse('what is no address');
  }
  if (!/^https?:$/.test(next.protocol) || next.username !== '' || next.password !== '')
    throw refuse('an address that is not of the web alone');
  if (url.protocol === 'https:' && next.protocol === 'http:' && !isLocal(next))
    throw refuse(`${shownAddress(next)}, which is unencrypted`);
  return next;
}

function transientFailure({ status, headers }: Response, url: URL): Transient | undefined {
  if (status === 429) return new Transient(`${url.host} asks to wait (429)`, waitOf(headers));
  if (status === 408 || status >= 500) return new Transient(`${url.host} answers ${status}`, waitOf(headers));
  return undefined;
}

/** What the server asks to wait: seconds or a date (RFC 9110, 10.2.3), or the `t` of the hub's `RateLimit`. */
function waitOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? /\bt=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1] ?? '';
  if (/^\d+$/.test(text)) return 1000 * Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

function answerOf({ status, body }: Response, headers: Headers, watch: Watch, url: URL): Answer {
  return {
    status,
    url,
    headers,
    pieces: async function* () {
      try {
        for await (const piece of body ?? []) {
          watch.touch();
          yield piece;
        }
      } catch (thrown) {
        throw watch.failure(thrown, url, 'the connection broke off');
      } finally {
        watch.end();
      }
    },
    close: async () => {
      watch.end();
      await body?.cancel().catch(() => undefined);
    },
  };
}

/** Ends a request that is stopped, or to which nothing comes for too long. */
class Watch {
  readonly signal: AbortSignal;
  private readonly stall = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly patience: Patience) {
    this.signal = patience.signal ? AbortSignal.any([patience.signal, this.stall.signal]) : this.stall.signal;
    this.touch();
  }

  /** Something came. */
  touch(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.stall.abort(), this.patience.stallMs ?? STALL_MS);
  }

  end(): void {
    clearTimeout(this.timer);
  }

  /**
   * What went wrong, of what was thrown meanwhile.
   * @param broken what it is called when a connection ends that there was.
   */
  failure(thrown: unknown, url: URL, broken = 'the connection ended without an answer'): Error {
    if (this.patience.signal?.aborted) return stopped();
    if (this.stall.signal.aborted) return new Transient(`nothing comes from ${url.host}`);
    const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
    const code = fileErrorCode(cause);
    if (code !== undefined && BROKEN.test(code)) return new Transient(`${broken} (${url.host})`);
    const reason = `${url.host} cannot be reached${code === undefined ? '' : ` (${code})`}`;
    if (code === undefined && !(thrown instanceof TypeError))
      return thrown instanceof Error ? thrown : new Error(reason);
    return code !== undefined && LASTING.test(code)
      ? new UserError('download-failed', `${reason}; look at the connection and at the address${proxyHint()}`, {
          cause: thrown,
        })
      : new Transient(reason);
  }
}
