import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';
import sharp from 'sharp';
import { z } from 'zod';
import type { Job, JobRequest, Live, Project, StudioRun, RunDetails, StudioEvent } from '../../src/studio/api.js';
import { FakeJobs } from './fakeJobs.js';
import { FakePhotos } from './fakePhotos.js';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
};
/** Stricter than the real one: nothing but files of its own, not even pictures in addresses. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PICTURES: Readonly<Record<string, string>> = {
  'GET thumbnail': 'image/webp',
  'GET photo': 'image/webp',
  'GET export': 'application/zip',
};
const STEP_MS = 60;

interface Refusal {
  readonly refused: readonly [status: number, code: string, message: string];
}
type Reply = object | Buffer | Refusal;
export type FakeAnswer = (query: URLSearchParams, body: Buffer) => Reply | Promise<Reply>;

const refused = (status: number, code: string, message: string): Refusal => ({ refused: [status, code, message] });
const isRefusal = (reply: Reply): reply is Refusal => 'refused' in reply && !('added' in reply);
const given = z
  .object({
    ...{ paths: z.array(z.string()), to: z.string(), from: z.string(), merge: z.boolean(), name: z.string() },
    ...{ bin: z.string(), id: z.string(), notes: z.string(), model: z.string(), live: z.boolean() },
  })
  .partial();
const read = (body: Buffer) => given.parse(JSON.parse(body.toString()));

/** A server that answers the studio's page by the contract, from memory, with drawn pictures. */
export class FakeStudio {
  /** What was asked, such as `POST photos/move`. */
  readonly asked: string[] = [];
  runs: StudioRun[] = [];
  url = '';
  /** Answers to whatever is asked by this path, in place of the usual one. */
  readonly instead = new Map<string, FakeAnswer>();
  private live: Live = { state: 'waiting', done: 0, total: 0 };
  private revision = 1;
  private settings = { model: 'efficientnet_b0', live: true };
  private readonly listeners = new Set<ServerResponse>();
  private readonly pictures = new Map<string, Promise<Buffer>>();
  private server: Server | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly jobs: FakeJobs;

  private constructor(
    private readonly page: string,
    private readonly stock: FakePhotos,
  ) {
    this.jobs = new FakeJobs({
      tell: (jobs) => this.tell({ type: 'jobs', jobs }),
      finished: (run) => this.setRuns([run, ...this.runs.filter(({ name }) => name !== run.name)]),
    });
  }

  /** @param page folder of the built page. @param classes how many photos each has. */
  static async start(page: string, classes: Readonly<Record<string, number>> = {}, port = 0): Promise<FakeStudio> {
    const fake = new FakeStudio(page, new FakePhotos(classes));
    fake.train();
    await fake.listen(port);
    return fake;
  }

  get photos(): FakePhotos['byClass'] {
    return this.stock.byClass;
  }

  private async listen(port: number): Promise<void> {
    const server = createServer((request, response) => void this.answer(request, response));
    this.server = server;
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('unreachable');
    this.url = `http://127.0.0.1:${address.port}/`;
  }

  /** Goes away, as a server that was killed. */
  async stop(): Promise<void> {
    clearTimeout(this.timer);
    this.jobs.close();
    const closed = new Promise((resolve) => this.server?.close(resolve));
    this.server?.closeAllConnections();
    await closed;
    this.listeners.clear();
  }

  /** Comes back at the same address. */
  async comeBack(): Promise<void> {
    await this.listen(Number(new URL(this.url).port));
  }

  startJob(request: JobRequest): Job {
    return this.jobs.start(request);
  }

  private tell(event: StudioEvent): void {
    for (const listener of this.listeners) listener.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  private setRuns(runs: StudioRun[]): void {
    this.runs = runs;
    this.tell({ type: 'runs', runs });
  }

  private get project(): Project {
    const { classes, bin } = this.stock;
    return {
      ...{ data: 'photos', runs: 'runs', version: '0.1.0', settings: this.settings, classes, bin },
      models: ['efficientnet_b0', 'mobilenet_v3', ...this.runs.map(({ name }) => `runs/${name}`)],
      revision: this.revision,
      ...(classes.length < 2 && { problem: 'there are photos of fewer than two classes; add a class' }),
    };
  }

  /** Photos have changed: tells so, and trains the head that goes with them. */
  private changed<Answer>(answer: Answer): Answer {
    this.revision++;
    this.tell({ type: 'project', project: this.project });
    this.train();
    return answer;
  }

  private train(): void {
    clearTimeout(this.timer);
    const total = this.stock.all.length;
    const isOff = !this.settings.live;
    const steps: Live[] =
      this.photos.size < 2 || isOff
        ? [{ state: isOff ? 'off' : 'waiting', done: 0, total: 0 }]
        : [
            { state: 'features', done: Math.floor(total / 2), total },
            { state: 'training', done: total, total },
            { state: 'ready', done: total, total, result: this.result() },
          ];
    const next = () => {
      const live = steps.shift();
      if (!live) return;
      const { result } = this.live;
      this.live = result && !live.result && live.state !== 'off' ? { ...live, result } : live;
      this.tell({ type: 'live', live: this.live });
      this.timer = setTimeout(next, STEP_MS);
    };
    next();
  }

  private result(): NonNullable<Live['result']> {
    const { photos } = this.stock.predictions();
    const valPhotos = photos.length;
    const top1 = photos.filter(({ label, predicted }) => label === predicted).length / Math.max(1, valPhotos);
    const interval = [Math.max(0, top1 - 0.07), Math.min(1, top1 + 0.05)] as const;
    const trainPhotos = this.stock.all.length - valPhotos;
    return { revision: this.revision, trainPhotos, valPhotos, top1, interval, elapsedMs: 640 };
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    response.setHeader('content-security-policy', POLICY);
    response.setHeader('x-content-type-options', 'nosniff');
    if (!pathname.startsWith('/api/')) {
      this.sendFile(pathname, response);
      return;
    }
    const path = `${request.method ?? ''} ${pathname.slice('/api/'.length)}`;
    this.asked.push(path);
    if (path === 'GET events') {
      this.follow(response);
      return;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
    const find = this.instead.get(path) ?? this.answers[path];
    const reply = (await find?.(searchParams, Buffer.concat(chunks))) ?? refused(404, 'no-such-page', `no ${path}`);
    if (Buffer.isBuffer(reply)) {
      response.setHeader('cache-control', 'private, max-age=3600');
      response.writeHead(200, { 'content-type': PICTURES[path] ?? 'image/png' }).end(reply);
      return;
    }
    const [status, code, message] = isRefusal(reply) ? reply.refused : [200, '', ''];
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isRefusal(reply) ? { error: { code, message } } : reply));
  }

  private sendFile(pathname: string, response: ServerResponse): void {
    const path = join(this.page, normalize(pathname === '/' ? '/index.html' : pathname));
    if (!existsSync(path)) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(readFileSync(path));
  }

  private follow(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 300\n\n');
    this.listeners.add(response);
    response.on('close', () => this.listeners.delete(response));
    const { project, live, runs, jobs } = this;
    const known: StudioEvent[] = [
      { type: 'project', project },
      { type: 'live', live },
      { type: 'jobs', jobs: jobs.list },
      { type: 'runs', runs },
    ];
    for (const event of known) response.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  /** Few are drawn, however many are asked for. */
  private picture(key: string, side: number, type: 'webp' | 'png'): Promise<Buffer> {
    const [r = 0, g = 0, b = 0] = createHash('md5')
      .update(key)
      .digest()
      .map((byte) => byte & 0xe0);
    const place = [r, g, b, side, type].join(' ');
    const made =
      this.pictures.get(place) ??
      sharp({ create: { width: side, height: side, channels: 3, background: { r, g, b } } })
        .toFormat(type)
        .toBuffer();
    this.pictures.set(place, made);
    return made;
  }

  private readonly answers: Readonly<Record<string, FakeAnswer>> = {
    'GET photos': (query) => {
      const name = query.get('class') ?? '';
      return { class: name, revision: this.revision, photos: this.photos.get(name) ?? [] };
    },
    'PUT photos': (query, body) => {
      const [name, file] = [query.get('class') ?? '', query.get('name') ?? ''];
      // JPEG and PNG.
      if (!['ffd8', '8950'].includes(body.toString('hex', 0, 2)))
        return refused(422, 'unreadable-photo', `cannot read ${file}: it is text, not a photo`);
      const { photo, isNew } = this.stock.add(name, file, createHash('sha1').update(body).digest('hex'));
      return this.changed({ outcome: isNew ? 'added' : 'duplicate', path: photo.path });
    },
    'POST archive': () => ({ added: 2, duplicates: 0, refused: [{ name: 'a.txt', reason: 'no photo' }], warnings: [] }),
    'POST photos/move': (_, body) => {
      const { paths = [], to = '' } = read(body);
      const moved = this.stock.move(paths, to);
      return this.changed({ moved: moved.length, paths: moved });
    },
    'POST photos/delete': (_, body) => this.changed(this.stock.binPhotos(read(body).paths ?? [])),
    'POST classes': (_, body) => {
      const { name = '' } = read(body);
      if (this.photos.has(name)) return refused(409, 'class-exists', `there is a class ${name} already`);
      this.photos.set(name, []);
      return this.changed({});
    },
    'POST classes/rename': (_, body) => {
      const { from = '', to = '', merge = false } = read(body);
      if (this.photos.has(to) && !merge) return refused(409, 'class-exists', `there is a class ${to} already`);
      const paths = this.stock.rename(from, to);
      return this.changed({ moved: paths.length, paths });
    },
    'POST classes/delete': (_, body) => this.changed(this.stock.binClass(read(body).name ?? '')),
    'POST bin/restore': (_, body) => this.changed({ moved: this.stock.restore(read(body).bin ?? '') }),
    'GET thumbnail': (query) => this.picture(query.get('path') ?? '', 96, 'webp'),
    'GET photo': (query) => this.picture(query.get('path') ?? '', 400, 'webp'),
    'GET heatmap': (query) => this.picture(`${query.get('path') ?? ''} hot`, 192, 'png'),
    'POST survey': () => {
      const [first = [], second = []] = [...this.photos.values()];
      const copies = [
        [...first.slice(0, 1), ...first.slice(2, 3)],
        [...first.slice(3, 4), ...second.slice(0, 1)],
      ];
      return {
        unreadable: first.slice(1, 2).map(({ path }) => ({ path, reason: 'it is text, not a photo' })),
        duplicates: copies.map((group) =>
          group.map(({ path, stamp }) => ({ path, stamp, class: path.split('/')[0] ?? '' })),
        ),
        warnings: ['class "cup" has 4.1 times as many photos to train with as "boat" (41 and 10)'],
      };
    },
    'POST settings': (_, body) => {
      const { model = this.settings.model, live = this.settings.live } = read(body);
      this.settings = { model, live };
      return this.changed(this.settings);
    },
    'GET cost': (query) => {
      const laterEpochMs = query.get('policy') === 'full' ? 40_000 : 2000;
      const size = { parameters: 4_020_358, trainableParameters: 417_286, memoryBytes: 1.2e9 };
      return { ...size, firstEpochMs: 9000, laterEpochMs };
    },
    'POST jobs': (_, body) => this.startJob(JSON.parse(body.toString()) as JobRequest),
    'POST jobs/stop': (_, body) => this.jobs.stop(read(body).id ?? ''),
    'GET runs': (query) => {
      const run = this.runs.find(({ name }) => name === query.get('name'));
      if (!run) return refused(404, 'no-such-run', `there is no run ${query.get('name') ?? ''}`);
      const classes = [...this.photos.keys()].map((name) => ({ name, photos: 10, precision: 0.9, recall: 0.8 }));
      const command = `npx ort-tl train --data photos --policy ${run.policy} --out runs/again`;
      const results = this.jobs.pointsOf(run.name, run.epochs);
      return { ...run, command, results, classes, warnings: [] } satisfies RunDetails;
    },
    'POST runs/notes': (_, body) => {
      const { name, notes = '' } = read(body);
      this.setRuns(this.runs.map((run) => (run.name === name ? { ...run, notes } : run)));
      return {};
    },
    'POST runs/delete': (_, body) => {
      const { name } = read(body);
      this.setRuns(this.runs.filter((run) => run.name !== name));
      return {};
    },
    'GET predictions': () => this.stock.predictions(),
    'POST try': async (query) => {
      const [first = 'cat', second = 'dog'] = this.photos.keys();
      const map = query.get('heat') === '1' ? await this.picture('tried', 96, 'png') : undefined;
      const classes = [
        { label: first, probability: 0.83 },
        { label: second, probability: 0.17 },
      ];
      return { classes, elapsedMs: 21, ...(map && { heatMap: `data:image/png;base64,${map.toString('base64')}` }) };
    },
    'GET export': () => Buffer.from('PK\u0005\u0006'.padEnd(22, '\0'), 'latin1'),
  };
}
