import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A file of a repository: those of LFS lie on another host. */
interface HubFile {
  readonly content: Buffer;
  readonly isLfs: boolean;
}

interface Repository {
  readonly commit: string;
  readonly files: Readonly<Record<string, HubFile>>;
  /** What the hub asks of whoever wants its files. */
  readonly access?: 'gated' | 'private';
}

export interface SeenRequest {
  readonly server: 'hub' | 'storage';
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** Answers a request in place of the server; gives false to let it answer by itself. */
type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export const TOKEN = 'hf_test';
export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const gitName = (content: Buffer) =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

/**
 * A hub as the real one behaves: files of LFS by a redirect to another host, small ones by a redirect on its own, states and hashes in
 * headers, its own error codes. The other host knows ranges.
 */
export class HubServer {
  readonly seen: SeenRequest[] = [];
  readonly repositories = new Map<string, Repository>();
  /** Tried in order before each request; one that answers is gone. */
  readonly hubFaults: Fault[] = [];
  readonly storageFaults: Fault[] = [];
  /** In place of the hashes that it should state. */
  statedHash: string | undefined;
  /** Whether it states how long files of LFS are. */
  statesSizes = true;
  /** In place of the commits that it should name: in its lists, and in what it states of files. */
  readonly statedCommits: { list?: string; files?: string } = {};
  /** Whether the storage knows ranges. */
  knowsRanges = true;
  /** Milliseconds that the storage takes to send a file. */
  storageMs = 0;
  private readonly hub: Server;
  private readonly storage: Server;

  private constructor() {
    const server = (name: 'hub' | 'storage', faults: Fault[], answer: (...args: Parameters<Fault>) => void) =>
      createServer((request, response) => {
        const { authorization, range, 'if-range': ifRange } = request.headers;
        const { method = '', url: path = '' } = request;
        this.seen.push({ server: name, method, path, authorization, range, ifRange: ifRange?.toString() });
        // As huggingface.co has it, so that a client that keeps connections open does not hold up the test's end.
        response.setHeader('connection', 'close');
        const at = faults.findIndex((fault) => fault(request, response));
        if (at >= 0) faults.splice(at, 1);
        else answer(request, response);
      });
    this.hub = server('hub', this.hubFaults, (request, response) => this.answer(request, response));
    this.storage = server('storage', this.storageFaults, (request, response) => this.store(request, response));
  }

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    await new Promise<void>((resolve) => server.hub.listen(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => server.storage.listen(0, '127.0.0.1', resolve));
    return server;
  }

  async stop(): Promise<void> {
    for (const each of [this.hub, this.storage]) {
      each.closeAllConnections();
      await new Promise((resolve) => each.close(resolve));
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${portOf(this.hub)}`;
  }

  /** The other host: the same machine by another name. */
  get storageAddress(): string {
    return `http://localhost:${portOf(this.storage)}`;
  }

  add(name: string, files: Readonly<Record<string, Buffer | string>>, access?: Repository['access']): string {
    const entries = Object.entries(files).map(([path, content]) => {
      const bytes = Buffer.from(content);
      return [path, { content: bytes, isLfs: /\.(?:onnx|onnx_data|data)$/.test(path) }] as const;
    });
    const commit = createHash('sha1').update(JSON.stringify(files)).update(name).digest('hex');
    this.repositories.set(name, { commit, files: Object.fromEntries(entries), ...(access ? { access } : {}) });
    return commit;
  }

  /** Requests of one server, as `GET /path`. */
  seenBy(server: SeenRequest['server']): string[] {
    return this.seen.filter((each) => each.server === server).map(({ method, path }) => `${method} ${path}`);
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url ?? '');
    const [, listed, revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? [];
    const [, cached, inCache] = /^\/api\/resolve-cache\/models\/([^/]+\/[^/]+)\/[^/]+\/(.+)$/.exec(path) ?? [];
    const [, wanted, state, file] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
    const repository = this.repositories.get(listed ?? cached ?? wanted ?? '');
    const isAllowed = request.headers.authorization === `Bearer ${TOKEN}`;
    if (!repository || (repository.access === 'private' && !isAllowed)) {
      refuse(response, isAllowed ? 404 : 401, 'RepoNotFound', 'Repository not found');
      return;
    }
    const asked = revision ?? state;
    if (asked !== undefined && asked !== 'main' && asked !== repository.commit) {
      refuse(response, 404, 'RevisionNotFound', 'Invalid rev id');
      return;
    }
    if (listed !== undefined) {
      const siblings = Object.keys(repository.files).map((rfilename) => ({ rfilename }));
      return void response.end(
        JSON.stringify({ id: listed, sha: this.statedCommits.list ?? repository.commit, siblings }),
      );
    }
    if (repository.access === 'gated' && !isAllowed) {
      refuse(response, request.headers.authorization === undefined ? 401 : 403, 'GatedRepo', 'Access is restricted');
      return;
    }
    const found = repository.files[file ?? inCache ?? ''];
    if (!found) {
      refuse(response, 404, 'EntryNotFound', 'Entry not found');
      return;
    }
    this.give(request, response, { path, found, repository, isInCache: inCache !== undefined });
  }

  private give(
    request: IncomingMessage,
    response: ServerResponse,
    {
      path,
      found,
      repository,
      isInCache,
    }: { path: string; found: HubFile; repository: Repository; isInCache: boolean },
  ): void {
    const { content, isLfs } = found;
    const hash = this.statedHash ?? (isLfs ? sha256(content) : gitName(content));
    response.setHeader('X-Repo-Commit', this.statedCommits.files ?? repository.commit);
    if (isLfs) {
      response.setHeader('X-Linked-ETag', `"${hash}"`);
      if (this.statesSizes) response.setHeader('X-Linked-Size', String(content.length));
      response.setHeader('ETag', '"an etag of the redirect"');
      response.writeHead(302, { location: `${this.storageAddress}/${sha256(content)}?signature=secret` });
      return void response.end('Found. Redirecting');
    }
    response.setHeader('ETag', `"${hash}"`);
    if (!isInCache) {
      const [, repositoryName = '', file = ''] = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(path) ?? [];
      response.writeHead(307, { location: `/api/resolve-cache/models/${repositoryName}/${repository.commit}/${file}` });
      return void response.end('Temporary Redirect');
    }
    sendRange(request, response, content, false);
  }

  private store(request: IncomingMessage, response: ServerResponse): void {
    const name = /^\/([0-9a-f]{64})/.exec(request.url ?? '')?.[1];
    const files = [...this.repositories.values()].flatMap(({ files: each }) => Object.values(each));
    const found = files.find(({ content }) => sha256(content) === name);
    if (!found) return void response.writeHead(404).end();
    response.setHeader('ETag', `"storage-${name}"`);
    sendRange(request, response, found.content, this.knowsRanges, this.storageMs);
  }
}

/** Sends a content, or what a range asks of it; where it is to take a while, in pieces. */
export function sendRange(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  knowsRanges: boolean,
  ms = 0,
): void {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const start = from === undefined || !knowsRanges ? 0 : Number(from);
  if (start > 0 && start >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const headers = { 'content-length': content.length - start };
  if (start > 0)
    response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` });
  else response.writeHead(200, headers);
  if (request.method === 'HEAD') response.end();
  else if (ms === 0) response.end(content.subarray(start));
  else sendSlowly(response, content.subarray(start), ms);
}

const PIECES = 50;

function sendSlowly(response: ServerResponse, content: Buffer, ms: number): void {
  const size = Math.ceil(content.length / PIECES);
  let at = 0;
  const timer = setInterval(() => {
    if (at >= content.length || response.destroyed) {
      clearInterval(timer);
      response.end();
    } else response.write(content.subarray(at, (at += size)));
  }, ms / PIECES);
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'x-error-code': code, 'x-error-message': message });
  response.end(JSON.stringify({ error: message }));
}

/**
 * Sends the first bytes of what a GET asks for, and breaks the connection. Of what has arrived by then, a client may lose the last that it
 * has not read.
 */
export const cutAfter =
  (bytes: number, content: Buffer): Fault =>
  ({ method, headers }, response) => {
    if (method !== 'GET') return false;
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const range = `bytes ${start}-${content.length - 1}/${content.length}`;
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': content.length - start,
      ...(start > 0 ? { 'content-range': range } : {}),
    });
    response.write(content.subarray(start, start + bytes), () => setTimeout(() => response.destroy(), 200));
    return true;
  };

/** Sends the first bytes of what a GET asks for, without its length, and ends as if that were all. */
export const endingAfter =
  (bytes: number, content: Buffer): Fault =>
  ({ method }, response) => {
    if (method !== 'GET') return false;
    response.useChunkedEncodingByDefault = false;
    response.removeHeader('content-length');
    response.writeHead(200);
    response.end(content.subarray(0, bytes));
    return true;
  };

/** Sends the first bytes of what a GET asks for, in chunks of which the last, empty one does not come. */
export const cutChunksAfter =
  (bytes: number, content: Buffer): Fault =>
  ({ method }, response) => {
    if (method !== 'GET') return false;
    response.writeHead(200, { 'transfer-encoding': 'chunked' });
    response.write(content.subarray(0, bytes), () => setTimeout(() => response.destroy(), 100));
    return true;
  };

/** Answers with a status, once. */
export const answering =
  (status: number, headers: Readonly<Record<string, string>> = {}): Fault =>
  (_, response) => {
    response.writeHead(status, headers).end();
    return true;
  };

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return (address satisfies AddressInfo).port;
}
