import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import sharp from 'sharp';
import { onTestFinished } from 'vitest';
import { Access } from '../../src/studio/server/access.js';
import { createApp } from '../../src/studio/server/app.js';
import { makeStudio } from '../../src/studio/server/makeStudio.js';
import { type RunningStudio, startStudio } from '../../src/studio/server/serve.js';

export const TOKEN = 'the-token-of-the-tests';
export const ORIGIN = 'http://127.0.0.1:7007';

/** A folder of runs where no head is to be trained. */
export function runsFolder(): string {
  const runs = folder();
  writeFileSync(join(runs, 'studio.json'), '{ "live": false }');
  return runs;
}

export const folder = (): string => mkdtempSync(join(tmpdir(), 'ort-tl-studio-'));

/** A small photo of one colour; other numbers give other bytes. */
export function photo(number: number, { width = 64, height = 48 } = {}): Promise<Buffer> {
  const background = { r: (number * 40) % 256, g: 120, b: 90 };
  return sharp({ create: { width, height, channels: 3, background } })
    .withExif({ IFD0: { ImageDescription: String(number) } })
    .jpeg()
    .toBuffer();
}

/** A photo of noise, which hardly shrinks. */
export function noise(side: number): Promise<Buffer> {
  return sharp({
    create: {
      width: side,
      height: side,
      channels: 3,
      background: '#000',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  })
    .jpeg({ quality: 100 })
    .toBuffer();
}

/** Writes photos, or other files by their content, below a folder. */
export async function write(data: string, files: Readonly<Record<string, number | string | Buffer>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const place = join(data, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, typeof content === 'number' ? await photo(content) : content);
  }
}

/** `count` photos of a class: `cat/0.jpg` and so on. */
export const some = (name: string, count: number, from = 0) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${name}/${index}.jpg`, from + index]));

/** All files below a folder, but for what the studio keeps there for itself. */
export function filesIn(data: string): string[] {
  return readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(data, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('.'))
    .sort();
}

interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A studio that is asked without a network. */
export async function studioIn(data: string, { page = folder(), runs = runsFolder() } = {}) {
  const access = new Access('127.0.0.1', 7007, TOKEN);
  const studio = await makeStudio({ data, runs, usualModel: 'tiny' }, access);
  onTestFinished(() => studio.close());
  const app = createApp(studio, page);
  const request = async (path: string, init: RequestInit = {}): Promise<Response> =>
    app.request(`${ORIGIN}${path}`, init);
  const ask = async (path: string, init: RequestInit = {}): Promise<Asked> => {
    const headers = new Headers(init.headers);
    headers.set('Authorization', `Bearer ${TOKEN}`);
    const response = await request(path, { ...init, headers });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text,
    };
  };
  return {
    ...{ studio, app, request, ask, data },
    post: (path: string, body: unknown) =>
      ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    put: (to: string, name: string, bytes: Buffer | string) =>
      ask(`/api/photos?${new URLSearchParams({ class: to, name }).toString()}`, {
        method: 'PUT',
        body: typeof bytes === 'string' ? bytes : new Uint8Array(bytes),
      }),
    list: async (name: string) =>
      (await ask(`/api/photos?${new URLSearchParams({ class: name }).toString()}`)).body as {
        revision: number;
        photos: { path: string; split: string; stamp: string }[];
      },
  };
}

/** A studio that listens. */
export async function listening(data: string, options: { host?: string; port?: number } = {}): Promise<RunningStudio> {
  const running = await startStudio({
    data,
    runs: runsFolder(),
    usualModel: 'tiny',
    token: TOKEN,
    port: 0,
    page: folder(),
    ...options,
  });
  onTestFinished(() => running.close());
  return running;
}

export const codeOf = (body: unknown): unknown => (body as { error?: { code?: unknown } }).error?.code;
export const messageIn = (body: unknown): string => (body as { error: { message: string } }).error.message;
