import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { UserError } from '../../errors.js';
import { fileErrorCode, fileReason } from '../../files.js';
import { Access } from './access.js';
import { createApp } from './app.js';
import { makeStudio, type Studio, type StudioOptions } from './makeStudio.js';

const USUAL_PORT = 7007;
/** Ports that are tried after it. */
const MORE_PORTS = 100;
/** How long answers that are under way are waited for at the end. */
const CLOSING_MS = 1000;

export interface ServeOptions extends StudioOptions {
  /** What it binds to; default 127.0.0.1, which no other machine reaches. */
  readonly host?: string;
  /** Default 7007, or the next one that is free; 0 is any. */
  readonly port?: number;
  /** Default random. */
  readonly token?: string;
  /** The folder of the built page; default this package's. */
  readonly page?: string;
}

export interface RunningStudio {
  readonly studio: Studio;
  /** What to open in a browser, with the token. */
  readonly url: string;
  readonly port: number;
  readonly isOpenToOthers: boolean;
  readonly urlsForOthers: readonly string[];
  close(): Promise<void>;
}

/**
 * Serves the studio on this machine.
 * @throws UserError `port-in-use`, `bad-address`, and what {@link makeStudio} throws.
 */
export async function startStudio(options: ServeOptions): Promise<RunningStudio> {
  const { host = '127.0.0.1', port, token, page } = options;
  let app: Hono | undefined;
  const listener = getRequestListener(
    (request, env) => app?.fetch(request, env) ?? new Response(null, { status: 503 }),
    { overrideGlobalObjects: false },
  );
  // A large photo may take long over a slow network; what stalls is ended where it is read.
  const server = createServer({ requestTimeout: 0 }, (incoming, outgoing) => void listener(incoming, outgoing));
  const bound = await listen(server, host, port);
  try {
    const access = new Access(host, bound, token);
    const studio = await makeStudio(options, access);
    app = createApp(studio, page);
    const { url, isOpenToOthers, urlsForOthers } = access;
    return {
      ...{ studio, url, port: bound, isOpenToOthers, urlsForOthers },
      close: async () => {
        await studio.close();
        await closeServer(server);
      },
    };
  } catch (thrown) {
    await closeServer(server);
    throw thrown;
  }
}

/** Listens, and gives the port. @throws UserError. */
async function listen(server: Server, host: string, asked: number | undefined): Promise<number> {
  for (let port = asked ?? USUAL_PORT; ; port++) {
    try {
      return await listenAt(server, host, port);
    } catch (cause) {
      const code = fileErrorCode(cause);
      if (code === 'EADDRINUSE' && asked === undefined && port < USUAL_PORT + MORE_PORTS) continue;
      if (code === 'EADDRINUSE')
        throw new UserError(
          'port-in-use',
          `port ${port} is in use already, perhaps by another studio; choose another (‹port›)`,
          {
            cause,
          },
        );
      throw new UserError(
        'bad-address',
        `cannot listen at ${host}, port ${port}: ${fileReason(cause)}; choose another address (‹host›) or port (‹port›)`,
        { cause },
      );
    }
  }
}

function listenAt(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: host.replace(/^\[|\]$/g, ''), port }, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.closeAllConnections();
    }, CLOSING_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
