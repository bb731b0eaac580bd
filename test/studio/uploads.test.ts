import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { type ClientRequest, request as ask } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { NO_MOUNT, smallDisk } from '../mounts.js';
import { zipFile } from '../data/zipFile.js';
import {
  codeOf,
  filesIn,
  folder,
  listening,
  messageIn,
  noise,
  photo,
  runsFolder,
  some,
  studioIn,
  TOKEN,
  write,
} from './studio.js';

const BEARER = { Authorization: `Bearer ${TOKEN}` };
const INCOMING = '.ort-tl-incoming';
const MB = 2 ** 20;

/** What has arrived and is nobody's. */
const arriving = (data: string) =>
  existsSync(join(data, INCOMING)) ? readdirSync(join(data, INCOMING)).filter((name) => !name.startsWith('.')) : [];

async function two() {
  const data = folder();
  await write(data, { ...some('cat', 2), ...some('dog', 2, 100) });
  return studioIn(data);
}

/** Sends what `chunks` gives for as long as the server takes it, and gives its answer. */
function send(port: number, path: string, headers: Record<string, string>, chunks: Iterable<Buffer>) {
  return new Promise<{ status: number; body: unknown; sent: number }>((resolve, reject) => {
    let sent = 0;
    const answered = new AbortController();
    const request = ask(
      { host: '127.0.0.1', port, path, method: 'PUT', headers: { ...BEARER, ...headers } },
      (response) => {
        answered.abort();
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('close', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), sent });
          request.destroy();
        });
      },
    );
    request.on('error', (error) => {
      if (!answered.signal.aborted) reject(error);
    });
    void (async () => {
      for (const chunk of chunks) {
        if (answered.signal.aborted || request.destroyed) return;
        sent += chunk.length;
        if (request.write(chunk)) continue;
        await new Promise<void>((done) => {
          const go = () => {
            request.off('drain', go).off('close', go);
            done();
          };
          request.on('drain', go).on('close', go);
        });
      }
      request.end();
    })();
  });
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes; at += MB) yield Buffer.alloc(MB);
}

describe('a photo that is added', () => {
  it('is there under its name, whole, and seen', async () => {
    const own = await two();
    const bytes = await photo(50);
    expect((await own.put('cat', 'IMG 1.JPG', bytes)).body).toEqual({ outcome: 'added', path: 'cat/IMG 1.JPG' });
    expect(readFileSync(join(own.data, 'cat/IMG 1.JPG')).equals(bytes)).toBe(true);
    await vi.waitFor(() => expect(own.studio.photos.find('cat/IMG 1.JPG')).toBeDefined(), { timeout: 20_000 });
    expect(arriving(own.data)).toEqual([]);
  });

  it('is there once, and another one of its name beside it', async () => {
    const own = await two();
    const [first, second] = [await photo(50), await photo(51)];
    await own.put('cat', 'a.jpg', first);
    expect((await own.put('cat', 'b.jpg', first)).body).toEqual({ outcome: 'duplicate', path: 'cat/a.jpg' });
    expect((await own.put('cat', 'a.jpg', second)).body).toEqual({ outcome: 'added', path: 'cat/a-2.jpg' });
    expect((await own.put('cat', 'x.jpg', await photo(0))).body).toEqual({ outcome: 'duplicate', path: 'cat/0.jpg' });
    expect((await own.put('dog', 'a.jpg', first)).body).toEqual({ outcome: 'added', path: 'dog/a.jpg' });
    expect(readFileSync(join(own.data, 'cat/a.jpg')).equals(first)).toBe(true);
  });

  it('goes where photos train, where there are splits', async () => {
    const data = folder();
    await write(data, {
      ...some('train/cat', 2),
      ...some('train/dog', 2, 10),
      ...some('val/cat', 1, 20),
      ...some('val/dog', 1, 30),
    });
    const own = await studioIn(data);
    expect((await own.put('cat', 'a.jpg', await photo(50))).body).toEqual({
      outcome: 'added',
      path: 'train/cat/a.jpg',
    });
    await own.post('/api/classes', { name: 'bird' });
    expect((await own.put('bird', 'a.jpg', await photo(51))).body).toEqual({
      outcome: 'added',
      path: 'train/bird/a.jpg',
    });
  });

  it('is called so that it lies in its class, whatever name it came with', async () => {
    const own = await two();
    const names = [
      '../../evil.jpg',
      '/etc/passwd',
      '..\\..\\x.jpg',
      '.htaccess',
      '..',
      '',
      'a\0b\n.jpg',
      `${'ü'.repeat(300)}.jpg`,
      'x.html',
      'SYNOPHOTO_THUMB_M.jpg',
    ];
    for (const [index, name] of names.entries()) {
      const { status, body } = await own.put('cat', name, await photo(200 + index));
      expect([name, status]).toEqual([name, 200]);
      const { path } = body as { path: string };
      expect(path).toMatch(/^cat\/[^/\\.\p{Cc}][^/\\\p{Cc}]*\.jpg$/u);
      expect(Buffer.byteLength(path)).toBeLessThan(220);
    }
    expect(filesIn(own.data)).toHaveLength(4 + names.length);
    await own.studio.photos.refresh();
    expect(own.studio.photos.classes[0]?.photos).toBe(2 + names.length);
  });

  it('is refused where its class has gone', async () => {
    const own = await two();
    expect(await own.put('bird', 'a.jpg', await photo(1))).toMatchObject({ status: 404 });
    expect(await own.put('../cat', 'a.jpg', await photo(1))).toMatchObject({ status: 404 });
    expect(await own.put('', 'a.jpg', await photo(1))).toMatchObject({ status: 404 });
  });
});

describe('what is no photo', () => {
  it('is refused with what it is, and leaves nothing', async () => {
    const own = await two();
    const heic = Buffer.concat([
      Buffer.from('00000018', 'hex'),
      Buffer.from('ftypheic\0\0\0\0mif1heic'),
      Buffer.alloc(2000, 1),
    ]);
    const cases: [string, Buffer | string, RegExp][] = [
      ['page.jpg', '<!doctype html><script>alert(1)</script>', /page\.jpg: it is a web page \(HTML\), not a photo/],
      ['drawing.svg', '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', /it is an SVG drawing/],
      ['IMG_1.HEIC', heic, /IMG_1\.HEIC: it is a HEIC photo \(iPhone\).*Settings › Camera › Formats › Most Compatible/],
      [
        'raw.cr2',
        Buffer.concat([Buffer.from('II*\0\x10\0\0\0CR\x02\0', 'latin1'), Buffer.alloc(100)]),
        /cannot read raw\.cr2/,
      ],
      ['cut.jpg', (await photo(9)).subarray(0, 300), /cannot read cut\.jpg/],
      ['empty.jpg', '', /it is empty/],
      ['notes.txt', 'hello', /it is text, not a photo/],
    ];
    for (const [name, bytes, reason] of cases) {
      const { status, body } = await own.put('cat', name, bytes);
      expect([name, status, codeOf(body)]).toEqual([name, 422, 'unreadable-photo']);
      expect(messageIn(body)).toMatch(reason);
      expect(messageIn(body)).not.toContain(INCOMING);
    }
    expect(filesIn(own.data)).toHaveLength(4);
    expect(arriving(own.data)).toEqual([]);
  });
});

describe('too much', () => {
  it('is refused at once where it says how much it is', async () => {
    const data = folder();
    await write(data, some('cat', 1));
    const { port } = await listening(data);
    const { status, body, sent } = await send(
      port,
      '/api/photos?class=cat&name=a.jpg',
      { 'Content-Length': String(2 * 2 ** 30) },
      [Buffer.alloc(10)],
    );
    expect([status, codeOf(body)]).toEqual([413, 'too-large']);
    expect(messageIn(body)).toContain('64 MB');
    expect(sent).toBeLessThan(MB);
    expect(arriving(data)).toEqual([]);
  });

  it('is refused when it has come where it does not say so', async () => {
    const data = folder();
    await write(data, some('cat', 1));
    const { port } = await listening(data);
    const { status, sent } = await send(
      port,
      '/api/photos?class=cat&name=a.jpg',
      { 'Transfer-Encoding': 'chunked' },
      zeros(2 * 2 ** 30),
    );
    expect(status).toBe(413);
    expect(sent).toBeLessThan(512 * MB);
    await vi.waitFor(() => expect(arriving(data)).toEqual([]));
    expect(filesIn(data)).toEqual(['cat/0.jpg']);
  });

  it('is refused of JSON and of archives, too', async () => {
    const own = await two();
    const long = await own.post('/api/photos/delete', {
      paths: Array.from({ length: 20_000 }, () => 'x'.repeat(1000)),
    });
    expect(long.status).toBe(413);
    const archive = await own.ask('/api/archive?name=a.zip', {
      method: 'POST',
      headers: { 'Content-Length': String(5 * 2 ** 30) },
      body: 'PK',
    });
    expect([archive.status, codeOf(archive.body)]).toEqual([413, 'too-large']);
  });
});

describe('many photos at once', () => {
  it('all arrive, though two hundred have one name', async () => {
    const data = folder();
    await write(data, { ...some('cat', 1), ...some('dog', 1, 1) });
    const { url, studio } = await listening(data);
    const base = new URL(url).origin;
    const photos = await Promise.all(Array.from({ length: 200 }, (_, index) => photo(1000 + index)));
    const answers = await Promise.all(
      photos.map(async (bytes) => {
        const answer = await fetch(`${base}/api/photos?class=cat&name=same.jpg`, {
          method: 'PUT',
          headers: BEARER,
          body: new Uint8Array(bytes),
        });
        return (await answer.json()) as { outcome: string; path: string };
      }),
    );
    expect(answers.every(({ outcome }) => outcome === 'added')).toBe(true);
    expect(new Set(answers.map(({ path }) => path)).size).toBe(200);
    for (const [index, { path }] of answers.entries())
      expect(readFileSync(join(data, path)).equals(photos[index] ?? Buffer.of())).toBe(true);
    await studio.photos.refresh();
    expect(studio.photos.classes[0]?.photos).toBe(201);
    expect(arriving(data)).toEqual([]);
  });

  it('are one where all are the same', async () => {
    const own = await two();
    const bytes = await photo(77);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => own.put('cat', `${index}.jpg`, bytes)));
    const outcomes = answers.map(({ body }) => (body as { outcome: string }).outcome);
    expect(outcomes.filter((each) => each === 'added')).toHaveLength(1);
    expect(outcomes.filter((each) => each === 'duplicate')).toHaveLength(19);
  });
});

/** Begins to send a photo, or what is sent by `path`, of which the second half never comes. */
function sendHalf(
  port: number,
  bytes: Buffer,
  path = '/api/photos?class=cat&name=a.jpg',
  method = 'PUT',
): ClientRequest {
  const headers = { ...BEARER, 'Content-Length': String(bytes.length) };
  const request = ask({ host: '127.0.0.1', port, path, method, headers });
  request.on('error', () => undefined);
  request.write(bytes.subarray(0, bytes.length / 2));
  return request;
}

describe('an upload that stalls', () => {
  it('keeps no other waiting, however many of them there are', async () => {
    const data = folder();
    await write(data, { ...some('cat', 1), ...some('dog', 1, 1) });
    const { port, url } = await listening(data);
    const bytes = await noise(300);
    const stalled = Array.from({ length: 40 }, () => sendHalf(port, bytes));
    const zip = zipFile([{ name: 'bird/1.jpg', content: await photo(3) }]);
    stalled.push(sendHalf(port, zip, '/api/archive?name=a.zip', 'POST'));
    await vi.waitFor(() => expect(arriving(data)).toHaveLength(41));
    const give = async (path: string, method: string, body: Buffer) => {
      const answer = await fetch(new URL(path, url), { method, headers: BEARER, body: new Uint8Array(body) });
      return answer.json();
    };
    expect(await give('/api/photos?class=dog&name=a.jpg', 'PUT', bytes)).toMatchObject({ outcome: 'added' });
    expect(await give('/api/archive?name=b.zip', 'POST', zip)).toMatchObject({ added: 1 });
    for (const request of stalled) request.destroy();
    await vi.waitFor(() => expect(arriving(data)).toEqual([]));
  });
});

describe('an upload that breaks off', () => {
  it('leaves nothing', async () => {
    const data = folder();
    await write(data, some('cat', 1));
    const { port } = await listening(data);
    const bytes = await noise(300);
    const request = sendHalf(port, bytes);
    await vi.waitFor(() => expect(arriving(data)).toHaveLength(1));
    request.destroy();
    await vi.waitFor(() => expect(arriving(data)).toEqual([]));
    expect(filesIn(data)).toEqual(['cat/0.jpg']);
  });

  it('leaves no photo where the server is killed, and nothing when it begins again', async () => {
    const data = folder();
    await write(data, { ...some('cat', 1), ...some('dog', 1, 1) });
    const { child, port } = await serverProcess(data);
    const bytes = await noise(300);
    const request = sendHalf(port, bytes);
    await vi.waitFor(() => expect(arriving(data)).toHaveLength(1), { timeout: 20_000 });
    child.kill('SIGKILL');
    await new Promise((done) => child.once('close', done));
    request.destroy();
    expect(filesIn(data)).toEqual(['cat/0.jpg', 'dog/0.jpg']);
    const [left = ''] = arriving(data);
    await studioIn(data);
    expect(arriving(data)).toEqual([left]);
    const old = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(join(data, INCOMING, left), old, old);
    const own = await studioIn(data);
    expect(arriving(data)).toEqual([]);
    expect(own.studio.photos.classes.map(({ photos }) => photos)).toEqual([1, 1]);
  });
});

/** A studio in a process of its own. */
async function serverProcess(data: string): Promise<{ child: ChildProcess; port: number }> {
  const serve = pathToFileURL(fileURLToPath(new URL('../../dist/studio/server/serve.js', import.meta.url))).href;
  const options = JSON.stringify({
    data,
    runs: runsFolder(),
    usualModel: 'tiny',
    token: TOKEN,
    port: 0,
    page: folder(),
  });
  const script = `import { startStudio } from ${JSON.stringify(serve)}; console.log((await startStudio(${options})).port);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('close', reject);
    child.stdout.once('data', (text: Buffer) => {
      resolve(Number(text.toString()));
    });
  });
  return { child, port };
}

it('says in one line that the disk is full, and leaves nothing half written', async (context) => {
  const disk = smallDisk(2 * MB);
  if (!disk) return context.skip(NO_MOUNT);
  try {
    const data = join(disk.folder, 'photos');
    await write(data, { ...some('cat', 1), ...some('dog', 1, 1) });
    const own = await studioIn(data);
    const large = await noise(2000);
    expect(large.length).toBeGreaterThan(2 * MB);
    const { status, body } = await own.put('cat', 'large.jpg', large);
    expect([status, codeOf(body)]).toEqual([507, 'write-failed']);
    expect(messageIn(body)).toMatch(/free some space/);
    expect(messageIn(body).split('\n')).toHaveLength(1);
    expect(filesIn(data)).toEqual(['cat/0.jpg', 'dog/0.jpg']);
    expect(arriving(data)).toEqual([]);
    expect((await own.put('cat', 'small.jpg', await photo(5))).status).toBe(200);
    own.studio.photos.close();
  } finally {
    disk.unmount();
    rmSync(disk.folder, { recursive: true, force: true });
  }
});

describe('an archive', () => {
  const send = (own: Awaited<ReturnType<typeof two>>, to: string | undefined, name: string, bytes: Buffer) =>
    own.ask(`/api/archive?${new URLSearchParams({ ...(to === undefined ? {} : { class: to }), name }).toString()}`, {
      method: 'POST',
      body: new Uint8Array(bytes),
    });

  it('brings its classes, and tells what becomes of each file', async () => {
    const own = await two();
    const zip = zipFile([
      { name: 'set/Cat/new.jpg', content: await photo(300) },
      { name: 'set/Cat/known.jpg', content: await photo(0) },
      { name: 'set/bird/1.jpg', content: await photo(301) },
      { name: 'set/bird/page.jpg', content: Buffer.from('<!doctype html>') },
      { name: 'set/bird/IMG_1.HEIC', content: Buffer.from('text') },
      { name: 'set/x./1.jpg', content: await photo(302) },
    ]);
    const { body, status } = await send(own, undefined, 'pets.zip', zip);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      added: 2,
      duplicates: 1,
      refused: [
        { name: 'x.' },
        { name: 'pets.zip/set/bird/page.jpg', reason: expect.stringContaining('web page') as string },
      ],
    });
    expect((body as { warnings: string[] }).warnings.join()).toMatch(/pets\.zip.*\.heic/);
    expect(filesIn(own.data)).toEqual(expect.arrayContaining(['bird/1.jpg', 'cat/new.jpg']));
    expect(own.studio.photos.classes.map(({ name, photos }) => `${name} ${photos}`)).toEqual([
      'bird 1',
      'cat 3',
      'dog 2',
    ]);
    expect(arriving(own.data)).toEqual([]);
  });

  it('goes to the class that is open where it has no class folders', async () => {
    const own = await two();
    const zip = zipFile([
      { name: 'a.jpg', content: await photo(400) },
      { name: 'b.jpg', content: await photo(401) },
    ]);
    expect((await send(own, 'dog', 'b.zip', zip)).body).toMatchObject({ added: 2, duplicates: 0, refused: [] });
    expect(own.studio.photos.classes[1]).toMatchObject({ name: 'dog', photos: 4 });
    expect(codeOf((await send(own, undefined, 'b.zip', zip)).body)).toBe('no-photos');
    expect(codeOf((await send(own, 'bird', 'b.zip', zip)).body)).toBe('no-such-class');
  });

  it('makes no class for photos that are all refused', async () => {
    const own = await two();
    const zip = zipFile([
      { name: 'set/bird/1.jpg', content: Buffer.from('<!doctype html>') },
      { name: 'set/cow/1.jpg', content: Buffer.from('text') },
      { name: 'set/Cow/2.jpg', content: await photo(420) },
    ]);
    const { body } = await send(own, undefined, 'pets.zip', zip);
    expect(body).toMatchObject({ added: 1, refused: [{}, {}] });
    expect(own.studio.photos.classes.map(({ name }) => name)).toEqual(['Cow', 'cat', 'dog']);
  });

  it('may be a project of Teachable Machine', async () => {
    const own = await two();
    const zip = zipFile([
      { name: 'manifest.json', content: Buffer.from('{}') },
      { name: 'fish-!-0.jpg', content: await photo(410) },
      { name: 'fish-!-1.jpg', content: await photo(411) },
      { name: 'crab-!-0.jpg', content: await photo(412) },
    ]);
    expect((await send(own, 'dog', 'project.tm', zip)).body).toMatchObject({ added: 3 });
    expect(own.studio.photos.classes.map(({ name }) => name)).toEqual(['cat', 'crab', 'dog', 'fish']);
  });

  it('is refused where it is none, or leads out of itself, or is a bomb', async () => {
    const own = await two();
    const cases: [Buffer, RegExp][] = [
      [Buffer.from('no zip file'), /cannot read the zip file evil\.zip/],
      [zipFile([{ name: '../../evil.jpg', content: await photo(1) }]), /cannot read the zip file evil\.zip/],
      [zipFile([{ name: 'cat/a.jpg', content: await photo(1), claimedBytes: 2 ** 31 }]), /too much for a photo/],
      [zipFile([]), /no photos/],
    ];
    for (const [bytes, reason] of cases) {
      const { status, body } = await send(own, 'cat', 'evil.zip', bytes);
      expect(status).toBe(400);
      expect(messageIn(body)).toMatch(reason);
    }
    expect(filesIn(own.data)).toHaveLength(4);
    expect(arriving(own.data)).toEqual([]);
    expect(statSync(own.data).isDirectory()).toBe(true);
  });
});
