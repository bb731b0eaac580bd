import { request as ask } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Access } from '../../src/studio/server/access.js';
import { codeOf, folder, listening, ORIGIN, some, studioIn, TOKEN, write } from './studio.js';

const BEARER = { Authorization: `Bearer ${TOKEN}` };
const COOKIE = { Cookie: `ort-tl-7007=${TOKEN}` };
const JSON_TYPE = { 'Content-Type': 'application/json' };

async function small() {
  const data = folder();
  await write(data, { ...some('cat', 2), ...some('dog', 2, 10) });
  const page = folder();
  await write(page, { 'index.html': '<!doctype html><title>studio</title>', 'assets/app-1a2b.js': 'export {};' });
  return studioIn(data, { page });
}

/** Asks a studio that listens, with headers that `fetch` would not send. */
function raw(port: number, path: string, headers: Record<string, string>, method = 'GET') {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const request = ask({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body });
      });
    });
    request.on('error', reject).end();
  });
}

describe('the token', () => {
  it('is asked for by everything: the page, its files, photos and events', async () => {
    const { request } = await small();
    for (const path of [
      '/',
      '/assets/app-1a2b.js',
      '/api/events',
      '/api/photos?class=cat',
      '/api/thumbnail?path=cat/0.jpg',
      '/nothing',
    ]) {
      const answer = await request(path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.text()).not.toContain('cat/');
    }
  });

  it('is told to the user in a page that says what to do', async () => {
    const { request } = await small();
    const answer = await request('/', { headers: { Accept: 'text/html,*/*' } });
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/);
    expect(await answer.text()).toContain('open the address printed in the terminal');
  });

  it('becomes a cookie that no script reads and no other site sends, and leaves the address', async () => {
    const { request } = await small();
    const answer = await request(`/?token=${TOKEN}`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('http-equiv="refresh" content="0;url=/"');
    expect(answer.headers.get('set-cookie')).toBe(`ort-tl-7007=${TOKEN}; Path=/; HttpOnly; SameSite=Strict`);
    expect((await request('/', { headers: COOKIE })).status).toBe(200);
  });

  it('is taken from the cookie of this port, or from an Authorization, and only whole', async () => {
    const { request } = await small();
    const status = async (headers: Record<string, string>) =>
      (await request('/api/photos?class=cat', { headers })).status;
    expect(await status(BEARER)).toBe(200);
    expect(await status(COOKIE)).toBe(200);
    expect(await status({ Cookie: `ort-tl-7008=${TOKEN}` })).toBe(401);
    expect(await status({ Cookie: `ort-tl-7007=${TOKEN}x` })).toBe(401);
    expect(await status({ Authorization: `Bearer ${TOKEN.slice(1)}` })).toBe(401);
    expect(await status({ Authorization: TOKEN })).toBe(401);
    expect((await request('/?token=', {})).status).toBe(401);
    expect((await request(`/api/photos?class=cat&token=${TOKEN}`)).status).toBe(401);
  });

  it('is another one for each studio, of 24 random bytes', () => {
    const tokens = [1, 2].map(() => new Access('127.0.0.1', 7007).token);
    expect(tokens[0]).not.toBe(tokens[1]);
    for (const token of tokens) expect(Buffer.from(token, 'base64url')).toHaveLength(24);
  });
});

describe('a foreign page', () => {
  const body = JSON.stringify({ name: 'evil' });
  const post = (headers: Record<string, string>) => ({ method: 'POST', body, headers: { ...JSON_TYPE, ...headers } });

  it('cannot post, with the cookie or without', async () => {
    const { request, studio } = await small();
    for (const origin of [
      'http://evil.example',
      'http://127.0.0.1:3000',
      'https://127.0.0.1:7007',
      'http://localhost:7007',
      'null',
    ])
      for (const own of [COOKIE, BEARER]) {
        const answer = await request('/api/classes', post({ ...own, Origin: origin }));
        expect([origin, answer.status]).toEqual([origin, 403]);
        expect(codeOf(await answer.json())).toBe('bad-origin');
      }
    expect((await request('/api/classes', post({ Origin: 'http://evil.example' }))).status).toBe(401);
    expect(studio.photos.classes.map(({ name }) => name)).toEqual(['cat', 'dog']);
  });

  it('cannot post without saying where it is from, nor ask for anything by its browser', async () => {
    const { request } = await small();
    expect((await request('/api/classes', post(COOKIE))).status).toBe(403);
    for (const site of ['cross-site', 'same-site']) {
      expect((await request('/api/classes', post({ ...COOKIE, Origin: ORIGIN, 'Sec-Fetch-Site': site }))).status).toBe(
        403,
      );
      const look = { headers: { ...COOKIE, 'Sec-Fetch-Site': site } };
      expect((await request('/api/thumbnail?path=cat/0.jpg', look)).status).toBe(403);
    }
    expect(
      (await request('/api/classes', { method: 'OPTIONS', headers: { ...COOKIE, Origin: 'http://evil.example' } }))
        .status,
    ).toBe(403);
  });

  it('is told apart from the own page, and from a program that has the token', async () => {
    const { request } = await small();
    const own = { ...COOKIE, Origin: ORIGIN, 'Sec-Fetch-Site': 'same-origin' };
    expect((await request('/api/classes', post(own))).status).toBe(200);
    const program = { method: 'POST', body: JSON.stringify({ name: 'bird' }), headers: { ...JSON_TYPE, ...BEARER } };
    expect((await request('/api/classes', program)).status).toBe(200);
  });

  it('cannot send what is no JSON', async () => {
    const { request } = await small();
    const answer = await request('/api/classes', {
      method: 'POST',
      body,
      headers: { ...BEARER, 'Content-Type': 'text/plain' },
    });
    expect(answer.status).toBe(400);
    expect(codeOf(await answer.json())).toBe('bad-request');
  });
});

describe('the name that the studio is asked under', () => {
  it('is one of its own, whatever leads to its address', async () => {
    const data = folder();
    await write(data, some('cat', 1));
    const { port } = await listening(data);
    const path = '/api/photos?class=cat';
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
      expect([host, (await raw(port, path, { ...BEARER, Host: host })).status]).toEqual([host, 200]);
    const foreign = [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1',
      '127.0.0.1:1',
      `127.0.0.1.evil.example:${port}`,
      `localhost.:${port}`,
    ];
    for (const host of foreign) {
      const { status, body } = await raw(port, path, { ...BEARER, Host: host });
      expect([host, status]).toEqual([host, 403]);
      expect(body).not.toContain('cat');
    }
    expect(
      (await raw(port, `http://evil.example:${port}${path}`, { ...BEARER, Host: `127.0.0.1:${port}` })).status,
    ).not.toBe(200);
  });

  it('may be any of the machine where it listens to all, and is told to the user', () => {
    const access = new Access('0.0.0.0', 7007, TOKEN);
    expect(access.isOwnHost(`${hostname()}:7007`)).toBe(true);
    expect(access.isOwnHost('evil.example:7007')).toBe(false);
    expect(access.isOpenToOthers).toBe(true);
    expect(access.url).toBe(`${ORIGIN}/?token=${TOKEN}`);
    for (const url of access.urlsForOthers) expect(access.isOwnHost(new URL(url).host)).toBe(true);
    expect(new Access('127.0.0.1', 7007).isOpenToOthers).toBe(false);
    expect(new Access('::1', 7007, TOKEN).url).toBe(`http://[::1]:7007/?token=${TOKEN}`);
  });
});

describe('every answer', () => {
  it('keeps others out by its headers, be it a page, a photo or an error', async () => {
    const { request } = await small();
    const asked = [
      ...[request('/', { headers: COOKIE }), request('/api/photos?class=cat', { headers: COOKIE })],
      ...[
        request('/api/thumbnail?path=cat/0.jpg', { headers: COOKIE }),
        request('/'),
        request('/api/nothing', { headers: COOKIE }),
      ],
    ];
    for (const { headers } of await Promise.all(asked)) {
      const policy = headers.get('content-security-policy') ?? '';
      for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
        expect(policy.split('; ')).toContain(part);
      expect(policy).not.toContain('unsafe');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('permissions-policy')).toContain('camera=(self)');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('is kept by the browser only where it cannot change', async () => {
    const { request, list } = await small();
    const kept = async (path: string) => (await request(path, { headers: COOKIE })).headers.get('cache-control');
    expect(await kept('/api/photos?class=cat')).toBe('no-store');
    expect(await kept('/')).toBe('no-cache');
    expect(await kept('/assets/app-1a2b.js')).toMatch(/immutable/);
    const [first] = (await list('cat')).photos;
    expect(await kept(`/api/thumbnail?path=cat/0.jpg&stamp=${first?.stamp ?? ''}`)).toMatch(/^private, .*immutable$/);
    expect(await kept('/api/thumbnail?path=cat/0.jpg&stamp=old')).toBe('no-store');
  });
});

describe('files of the page', () => {
  it('are those that were built, and no other is reached from them', async () => {
    const { request } = await small();
    const script = await request('/assets/app-1a2b.js', { headers: COOKIE });
    expect(script.headers.get('content-type')).toMatch(/^text\/javascript/);
    expect(await script.text()).toBe('export {};');
    for (const path of [
      '/../package.json',
      '/%2e%2e/package.json',
      '/..%2fpackage.json',
      '/assets/../../package.json',
      '/assets/%00',
      '//etc/passwd',
      '/assets',
    ])
      expect((await request(path, { headers: COOKIE })).status).toBe(404);
  });

  it('say how to make them where they are missing', async () => {
    const { request } = await studioIn(folder(), { page: join(folder(), 'none') });
    expect(await (await request('/', { headers: COOKIE })).text()).toContain('npm run build');
  });
});

describe('the port', () => {
  it('is refused where it was asked for and is taken, and the next one otherwise', async () => {
    const { port } = await listening(folder());
    await expect(listening(folder(), { port })).rejects.toMatchObject({ code: 'port-in-use' });
    await expect(listening(folder(), { host: '192.0.2.1' })).rejects.toMatchObject({ code: 'bad-address' });
  });
});
