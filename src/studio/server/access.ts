import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { UserError } from '../../errors.js';

const TOKEN_BYTES = 24;
/** What is bound to by default, and what browsers call the same machine. */
const LOCAL_NAMES = ['127.0.0.1', 'localhost', '[::1]'];
const EVERYWHERE = ['0.0.0.0', '::'];
const DEFAULT_PORT = 80;

/** Who may ask the studio, and under which names it answers. */
export class Access {
  /** Anyone who has it may do everything that the page does. */
  readonly token: string;

  constructor(
    readonly host: string,
    readonly port: number,
    token?: string,
  ) {
    this.token = token ?? randomBytes(TOKEN_BYTES).toString('base64url');
  }

  /** Of this port alone: browsers send cookies to all ports of a host. */
  get cookie(): string {
    return `ort-tl-${this.port}`;
  }

  /** Whether other machines can reach it. */
  get isOpenToOthers(): boolean {
    return !/^(127\.|localhost$|\[?::1\]?$)/.test(this.host);
  }

  /** What to open in a browser on this machine. */
  get url(): string {
    return this.urlAt(EVERYWHERE.includes(this.host) ? '127.0.0.1' : bracketed(this.host));
  }

  /** What to open in a browser on another machine. */
  get urlsForOthers(): string[] {
    if (!this.isOpenToOthers) return [];
    return EVERYWHERE.includes(this.host) ? ownAddresses().map((address) => this.urlAt(address)) : [this.url];
  }

  /** Whether a Host, such as `localhost:7007`, names this studio: a page under another name that leads here may not ask it. */
  isOwnHost(host: string): boolean {
    const [, name = '', port = DEFAULT_PORT] = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(host) ?? [];
    if (Number(port) !== this.port) return false;
    const lower = name.toLowerCase();
    if ([...LOCAL_NAMES, bracketed(this.host).toLowerCase()].includes(lower)) return true;
    if (!EVERYWHERE.includes(this.host)) return false;
    const own = hostname().toLowerCase();
    return [own, `${own}.local`, ...ownAddresses()].includes(lower);
  }

  /** In a time that tells nothing of how much of it is right. */
  isToken(given: string | undefined): boolean {
    const hash = (text: string) => createHash('sha256').update(text).digest();
    return given !== undefined && timingSafeEqual(hash(given), hash(this.token));
  }

  private urlAt(name: string): string {
    return `http://${name}:${this.port}/?token=${this.token}`;
  }
}

/**
 * Lets through who has the token, comes under a name of this studio, and, to change anything, from its own page. A page that is opened with
 * the token in its address gets it as a cookie, and an address without it.
 */
export function checkAccess(access: Access): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    if (!access.isOwnHost(host) || !access.isOwnHost(new URL(c.req.url).host))
      throw new UserError(
        'bad-host',
        'the studio is asked under a name that is not its own; open the address printed in the terminal',
      );
    const isReading = c.req.method === 'GET' || c.req.method === 'HEAD';
    const given = c.req.query('token');
    if (isReading && c.req.path === '/' && access.isToken(given)) {
      setCookie(c, access.cookie, access.token, { httpOnly: true, sameSite: 'Strict', path: '/' });
      // A cookie that is this strict is not sent on a redirect that another page began, such as the file that the command opens.
      return c.html('<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">');
    }
    const hasBearer = access.isToken(/^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]);
    if (!hasBearer && !access.isToken(getCookie(c, access.cookie)))
      throw new UserError('no-token', 'the studio wants its token; open the address printed in the terminal');
    if (!isReading) checkOrigin(c, host, hasBearer);
    if (!isReading || c.req.path.startsWith('/api/')) checkSite(c);
    await next();
    return undefined;
  };
}

/** @throws UserError `bad-origin`. */
function checkOrigin(c: Context, host: string, hasBearer: boolean): void {
  const origin = c.req.header('origin');
  if (origin === undefined ? hasBearer : origin.toLowerCase() === `http://${host.toLowerCase()}`) return;
  throw foreign();
}

/** Browsers say where a request comes from; programs need not. @throws UserError `bad-origin`. */
function checkSite(c: Context): void {
  if (!['same-origin', 'none', undefined].includes(c.req.header('sec-fetch-site'))) throw foreign();
}

function foreign(): UserError {
  return new UserError('bad-origin', 'another page asks the studio, which its own page alone may do');
}

/** How a host stands in an address. */
const bracketed = (host: string) => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host);

/** The addresses of this machine in its networks. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => bracketed(address.toLowerCase()));
}
