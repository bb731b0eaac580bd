import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hubSettings } from '../../src/hub/hubSettings.js';
import type { ModelEvent } from '../../src/hub/modelEvents.js';
import { parseSource } from '../../src/hub/modelSource.js';
import type { Patience } from '../../src/hub/persistence.js';
import { pullRepository } from '../../src/hub/pullRepository.js';
import { readModel } from '../../src/onnx/model.js';
import { ModelProtoSchema, StringStringEntryProtoSchema } from '../../src/onnx/onnx_pb.js';
import { resultOf } from '../../src/resultOf.js';
import { filesBelow } from '../cli/cli.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';
import { NO_MOUNT, smallDisk } from '../mounts.js';
import { answering, cutAfter, cutChunksAfter, endingAfter, HubServer, sha256, TOKEN } from './hubServer.js';

/** What asks for the rest of a file. */
const REST: unknown = expect.stringMatching(/^bytes=[1-9]\d*-$/);

const TINY = readFileSync(TINY_RESNET);
const CNN = readFileSync(SMALL_CNN);
const FILES = {
  'README.md': '# a network',
  'config.json': '{"id2label":{"0":"a"}}',
  'preprocessor_config.json': '{"size":{"shortest_edge":224}}',
  'onnx/model.onnx': TINY,
  'onnx/model_quantized.onnx': 'another precision',
};

let hub: HubServer;
let cache: string;
beforeEach(async () => {
  hub = await HubServer.start();
  cache = mkdtempSync(join(tmpdir(), 'ort-tl-hub-'));
});
afterEach(async () => {
  await hub.stop();
  rmSync(cache, { recursive: true, force: true });
});

interface Pulled {
  readonly path: string;
  readonly events: readonly ModelEvent[];
}

async function pull(
  name: string,
  env: NodeJS.ProcessEnv = {},
  patience: Patience = {},
  see: (event: ModelEvent) => void = () => undefined,
): Promise<Pulled> {
  const source = parseSource(name);
  if (source?.kind !== 'hub') throw new Error(`${name} names nothing on a hub`);
  const settings = hubSettings({
    HF_ENDPOINT: hub.endpoint,
    HF_HUB_CACHE: cache,
    HF_HOME: join(cache, 'home'),
    ...env,
  });
  const events: ModelEvent[] = [];
  const path = await resultOf(pullRepository(source, settings, { firstWaitMs: 1, ...patience }), (event) => {
    events.push(event);
    see(event);
  });
  return { path, events };
}

const tellsOf = (events: readonly ModelEvent[], type: ModelEvent['type']) =>
  events.filter((event) => event.type === type);
/** Files in the cache that are no part of a download. */
const models = () =>
  filesBelow(cache).filter((path) => !path.includes('.locks') && !path.endsWith('.ort-tl.incomplete'));
const parts = () => filesBelow(cache).filter((path) => path.endsWith('.incomplete'));

/** Comparing the bytes one by one would take a test runner seconds. */
const expectIs = (path: string, content: Buffer) => expect(sha256(readFileSync(path))).toBe(sha256(content));

describe('a model of a repository', () => {
  it('is found without its path, and comes into the layout that the hub’s programs share', async () => {
    const commit = hub.add('o/net', FILES);
    const { path, events } = await pull('hf:o/net');
    const folder = join(cache, 'models--o--net');
    expect(path).toBe(join(folder, 'snapshots', commit, 'onnx', 'model.onnx'));
    expectIs(path, TINY);
    expect(readlinkSync(path)).toBe(join('..', '..', '..', 'blobs', sha256(TINY)));
    expect(readFileSync(join(folder, 'refs', 'main'), 'utf8')).toBe(commit);
    const snapshot = join(folder, 'snapshots', commit);
    expect(readFileSync(join(snapshot, 'config.json'), 'utf8')).toBe(FILES['config.json']);
    expect(readFileSync(join(snapshot, 'preprocessor_config.json'), 'utf8')).toBe(FILES['preprocessor_config.json']);
    expect(existsSync(join(snapshot, 'README.md'))).toBe(false);
    const [announced] = events;
    const small = FILES['config.json'].length + FILES['preprocessor_config.json'].length;
    expect(announced).toMatchObject({ type: 'pulling', bytes: TINY.length + small });
    expect(tellsOf(events, 'progress').at(-1)).toMatchObject({ total: FILES['preprocessor_config.json'].length });
  });

  it('is not loaded again while the hub has the same', async () => {
    hub.add('o/net', FILES);
    await pull('hf:o/net');
    const before = hub.seenBy('storage').length;
    const { events } = await pull('hf:o/net');
    expect(hub.seenBy('storage')).toHaveLength(before);
    expect(events).toEqual([]);
    const second = { ...FILES, 'onnx/model.onnx': CNN };
    const commit = hub.add('o/net', second);
    const { path } = await pull('hf:o/net');
    expect(path).toContain(commit);
    expectIs(path, CNN);
  });

  it.each<[string, Record<string, Buffer | string>, string]>([
    ['at its root', { 'model.onnx': TINY, 'other.onnx': 'x' }, 'model.onnx'],
    ['where it is the only one', { 'net/efficientNet-b0.onnx': TINY }, 'net/efficientNet-b0.onnx'],
  ])('is found %s', async (_, files, file) => {
    hub.add('o/net', files);
    expect((await pull('hf:o/net')).path.replaceAll('\\', '/')).toMatch(new RegExp(`/${file}$`));
  });

  it('is the one of the revision and the path that are named', async () => {
    const commit = hub.add('o/net', { ...FILES, 'other/b.onnx': CNN });
    const { path } = await pull(`hf:o/net@${commit}/other/b.onnx`);
    expectIs(path, CNN);
    expect(existsSync(join(cache, 'models--o--net', 'refs'))).toBe(false);
  });

  it('comes as a copy where there are no links', async () => {
    hub.add('o/net', FILES);
    const { path } = await pull('hf:o/net', { HF_HUB_DISABLE_SYMLINKS: '1' });
    expect(lstatSync(path).isFile()).toBe(true);
    expectIs(path, TINY);
  });

  it('brings the files along that it keeps tensors in, by whatever name', async () => {
    const { model, data } = external('weights.bin');
    hub.add('o/net', { 'onnx/model.onnx': model, 'onnx/model.onnx_data': 'not named', 'onnx/weights.bin': data });
    const { path } = await pull('hf:o/net');
    expect(readFileSync(join(path, '..', 'weights.bin'))).toEqual(data);
    expect(readFileSync(join(path, '..', 'model.onnx_data'), 'utf8')).toBe('not named');
    const read = readModel(path);
    // A link into the same repository, and no other.
    const link = join(path, '..', 'weights.bin');
    rmSync(link);
    symlinkSync(TINY_RESNET, link);
    expect(() => readModel(path)).toThrow(/a link out of the model's folder/);
    const tensors = ({ proto }: typeof read) => proto.graph?.initializer.map(({ name }) => name);
    expect(tensors(read)).toEqual(tensors(readModel(TINY_RESNET)));
  });

  it.each(['../../../secret', '/etc/passwd', '..\\secret', 'missing.bin'])(
    'is refused where it keeps tensors in %s',
    async (location) => {
      hub.add('o/net', { 'model.onnx': external(location).model });
      await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'external-data' });
      expect(models().filter((path) => path.includes('snapshots'))).toEqual([]);
    },
  );
});

describe('what the hub does not give', () => {
  it.each<[string, () => string, string, RegExp]>([
    [
      'a repository that is not there',
      () => 'hf:o/nothing',
      'no-access',
      /127\.0\.0\.1:\d+ has no repository o\/nothing, or it is private.*HF_TOKEN/,
    ],
    ['a revision', () => 'hf:o/net@v9', 'no-such-model', /o\/net has no revision v9/],
    [
      'a file',
      () => 'hf:o/net/onnx/modle.onnx',
      'no-such-model',
      /no file onnx\/modle\.onnx; its ONNX files: onnx\/model\.onnx, /,
    ],
    ['an ONNX file', () => 'hf:o/torch', 'no-such-model', /no ONNX file; it holds config\.json, model\.safetensors$/],
    [
      'one of several',
      () => 'hf:o/two',
      'no-such-model',
      /several ONNX files; name one, as in hf:o\/two\/a\.onnx: a\.onnx, b\.onnx/,
    ],
  ])('is told: %s', async (_, name, code, message) => {
    hub.add('o/net', FILES);
    hub.add('o/torch', { 'config.json': '{}', 'model.safetensors': 'x' });
    hub.add('o/two', { 'a.onnx': TINY, 'b.onnx': TINY });
    const error = await pull(name()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'UserError', code });
    expect(String(error)).toMatch(message);
    expect(filesBelow(cache)).toEqual([]);
  });

  it('is told of a repository that is not there, to whoever has a token', async () => {
    await expect(pull('hf:o/nothing', { HF_TOKEN: TOKEN })).rejects.toMatchObject({ code: 'no-such-model' });
  });

  it.each([
    ['without a token', {}],
    ['with one that may not', { HF_TOKEN: 'hf_other' }],
  ])('is told of a gated one, %s', async (_, env) => {
    hub.add('o/gated', FILES, 'gated');
    const error = await pull('hf:o/gated', env).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'no-access' });
    expect(String(error)).toContain(`gated: accept its terms on ${hub.endpoint}/o/gated, and set HF_TOKEN`);
  });

  it.each<[string, number, Record<string, string>, string, RegExp]>([
    [
      'a token that may not',
      403,
      { 'x-error-message': 'Your token lacks the scope' },
      'no-access',
      /hf:o\/net: 127\.0\.0\.1:\d+ answers 403 \(Your token lacks the scope\); look at http.*HF_TOKEN/,
    ],
    ['an address that is blocked', 403, {}, 'no-access', /hf:o\/net: 127\.0\.0\.1:\d+ answers 403; look at/],
    [
      'a token that is none',
      401,
      { 'x-error-message': 'Invalid credentials in Authorization header' },
      'no-access',
      /answers 401 \(Invalid credentials in Authorization header\); .*HF_TOKEN/,
    ],
    ['what was moved', 410, { 'x-error-message': 'Gone' }, 'download-failed', /answers 410 \(Gone\); look at http/],
  ])('is told in the words of the hub: %s', async (_, status, headers, code, message) => {
    hub.hubFaults.push(answering(status, headers));
    const error = await pull('hf:o/net').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain('gated');
  });

  it.each([401, 403, 404])('is told with the name of the other host that answers %d', async (status) => {
    hub.add('o/net', FILES);
    hub.storageFaults.push(answering(status));
    const error = await pull('hf:o/net').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'download-failed' });
    expect(String(error)).toMatch(
      new RegExp(
        `hf:o/net/onnx/model\\.onnx: localhost:\\d+ answers ${status}, where 127\\.0\\.0\\.1:\\d+ says that the file lies`,
      ),
    );
  });

  it('is refused where a file is not the one whose hash was asked for', async () => {
    hub.add('o/net', FILES);
    await expect(pull(`hf:o/net#sha256=${'0'.repeat(64)}`)).rejects.toMatchObject({ code: 'wrong-hash' });
    expect(hub.seenBy('storage')).toEqual([]);
    expectIs((await pull(`hf:o/net#sha256=${sha256(TINY)}`)).path, TINY);
  });

  it.each(['list', 'files'] as const)(
    'is refused where its %s answer with another commit than the one',
    async (kind) => {
      const commit = hub.add('o/net', FILES);
      hub.statedCommits[kind] = '2'.repeat(40);
      const error = await pull(`hf:o/net@${commit}`).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'download-failed' });
      expect(String(error)).toMatch(/asked for the commit [0-9a-f]{40}, 127\.0\.0\.1:\d+ answers with 2{40}/);
      expect(models()).toEqual([]);
    },
  );

  it.each([
    '../x.onnx',
    '/etc/x.onnx',
    'a/../../x.onnx',
    '..\\x.onnx',
    'a\nb.onnx',
    'a\x1b[2J.onnx',
    'C:x.onnx',
    'a//b.onnx',
    '',
  ])('is refused where it lists a file by the name %j', async (name) => {
    hub.add('o/net', { ...FILES, [name]: TINY });
    const error = await pull('hf:o/net').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'download-failed' });
    expect(String(error)).toMatch(/no safe name of a file/);
    expect(filesBelow(cache)).toEqual([]);
  });

  it('is refused where it lists a file and a folder by one name', async () => {
    hub.add('o/net', { 'a/model.onnx': TINY, 'a/model.onnx/x.onnx': TINY });
    for (const file of ['a/model.onnx', 'a/model.onnx/x.onnx']) {
      const error = await pull(`hf:o/net/${file}`).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'download-failed' });
      expect(String(error)).toMatch(/lists `a\/model\.onnx\/x\.onnx`, which lies in a folder that it lists as a file/);
    }
    expect(filesBelow(cache)).toEqual([]);
  });

  it.each(['../../../evil', 'a/b', '.hidden', ''])('is refused where it names a content %j', async (etag) => {
    hub.add('o/net', { 'model.onnx': TINY });
    hub.statedHash = etag;
    await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'download-failed' });
    expect(models()).toEqual([]);
  });

  it('is told where something else than a hub answers', async () => {
    hub.hubFaults.push((_, response) => {
      response.end('<html>welcome</html>');
      return true;
    });
    await expect(pull('hf:o/net')).rejects.toThrow(/something else than a list of files/);
  });
});

describe('the token', () => {
  it('goes to the hub, and never to the host that it leads to', async () => {
    hub.add('o/gated', FILES, 'gated');
    await pull('hf:o/gated', { HF_TOKEN: TOKEN });
    const sent = (server: string) =>
      hub.seen.filter((each) => each.server === server).map((each) => each.authorization);
    expect(new Set(sent('hub'))).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(sent('storage')).toEqual([undefined]);
  });

  it('does not go to the hub either when another host has led there', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    hub.storageFaults.push(answering(302, { location: `${hub.endpoint}/back` }));
    await pull('hf:o/net', { HF_TOKEN: TOKEN }).catch(() => undefined);
    expect(hub.seen.find(({ path }) => path === '/back')).toMatchObject({ authorization: undefined });
  });

  it('is read from the file that huggingface_hub keeps it in', async () => {
    hub.add('o/gated', FILES, 'gated');
    const path = join(cache, 'my-token');
    writeFileSync(path, `${TOKEN}\n`);
    expect((await pull('hf:o/gated', { HF_TOKEN_PATH: path })).path).toMatch(/model\.onnx$/);
  });

  it('is not sent, nor shown, when it has characters that no token has', async () => {
    const error = await pull('hf:o/net', { HF_TOKEN: 'hf_secret\nx' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'no-access' });
    expect(String(error)).not.toContain('secret');
  });
});

describe('a download', () => {
  it('goes on where the connection broke off', async () => {
    hub.add('o/net', { 'model.onnx': CNN });
    hub.storageFaults.push(cutAfter(700_000, CNN), cutAfter(700_000, CNN));
    const { path, events } = await pull('hf:o/net');
    expectIs(path, CNN);
    expect(hub.seen.filter(({ server }) => server === 'storage').map(({ range }) => range)).toEqual([
      undefined,
      REST,
      REST,
    ]);
    expect(tellsOf(events, 'waiting')).toMatchObject([
      { reason: expect.stringMatching(/the connection broke off .*after 0\.\d of 2\.2 MB; trying again/) as string },
      { reason: expect.stringMatching(/the connection broke off .*after [01]\.\d of 2\.2 MB; trying again/) as string },
    ]);
    expect(parts()).toEqual([]);
  });

  it('goes on in another process from where the first was stopped, at once', async () => {
    hub.add('o/net', { 'model.onnx': CNN });
    const controller = new AbortController();
    const stopping = pull('hf:o/net', {}, { signal: controller.signal }, ({ type }) => {
      if (type === 'progress') controller.abort();
    });
    await expect(stopping).rejects.toMatchObject({ code: 'stopped' });
    expect(models()).toEqual([]);
    const [part = ''] = parts();
    const begun = statSync(part).size;
    expect(begun).toBeGreaterThan(0);
    expectIs(part, CNN.subarray(0, begun));
    expectIs((await pull('hf:o/net')).path, CNN);
    expect(hub.seen.at(-1)).toMatchObject({ server: 'storage', range: `bytes=${begun}-` });
  });

  it('begins anew where the server knows no ranges', async () => {
    hub.add('o/net', { 'model.onnx': CNN });
    hub.knowsRanges = false;
    hub.storageFaults.push(cutAfter(700_000, CNN));
    expectIs((await pull('hf:o/net')).path, CNN);
  });

  it('begins anew where what lies there is the beginning of another file', async () => {
    hub.add('o/net', { 'model.onnx': CNN });
    hub.storageFaults.push(cutAfter(700_000, CNN), ...Array.from({ length: 9 }, () => answering(503)));
    await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'download-failed' });
    const [part = ''] = parts();
    writeFileSync(part, Buffer.alloc(statSync(part).size));
    hub.storageFaults.splice(0);
    expectIs((await pull('hf:o/net')).path, CNN);
  });

  it.each<[string, Record<string, Buffer | string>]>([
    ['a large file', { 'model.onnx': CNN }],
    ['a small one, which git names', { 'model.onnx': CNN, 'config.json': '{}' }],
  ])('is refused when its hash is not the stated one: %s', async (what, files) => {
    hub.add('o/net', files);
    hub.statedHash = (what === 'a large file' ? '1' : '2').repeat(what === 'a large file' ? 64 : 40);
    await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'wrong-hash' });
    expect(filesBelow(join(cache, 'models--o--net'))).toEqual([]);
  });

  it('waits as long as it is asked to, and says so', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    hub.hubFaults.push(answering(429, { 'retry-after': '1' }), answering(429, { ratelimit: '"api";r=0;t=1' }));
    const { path, events } = await pull('hf:o/net', {}, { firstWaitMs: 3_000_000 });
    expectIs(path, TINY);
    expect(tellsOf(events, 'waiting')).toMatchObject([
      { reason: expect.stringMatching(/asks to wait \(429\); trying again in 1 s/) as string },
      {},
    ]);
  });

  it.each<[string, Record<string, string>]>([
    ['a wait of 0', { 'retry-after': '0' }],
    ['a moment that is over', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }],
    ['a rate that is free again', { ratelimit: '"api";r=0;t=0' }],
  ])('waits all the same, and longer each time, where a server asks for %s', async (_, headers) => {
    hub.hubFaults.push(answering(429, headers), answering(429, headers));
    const reasons: string[] = [];
    const controller = new AbortController();
    // It is stopped in the wait that nobody wants to sit through.
    const long = pull('hf:o/net', {}, { firstWaitMs: 600, signal: controller.signal }, (event) => {
      if (event.type !== 'waiting') return;
      reasons.push(event.reason);
      if (reasons.length === 2) controller.abort();
    });
    await expect(long).rejects.toMatchObject({ code: 'stopped' });
    expect(reasons).toMatchObject(
      [/trying again in 1 s$/, /trying again in 2 s$/].map((each) => expect.stringMatching(each) as string),
    );
  });

  it('does not wait for an hour', async () => {
    hub.hubFaults.push(answering(429, { 'retry-after': '3600' }));
    await expect(pull('hf:o/net')).rejects.toThrow(/asks to wait \(429\), for 3600 s; try again then/);
  });

  it.each([500, 503])('tries again when the server answers %d, a few times', async (status) => {
    hub.add('o/net', { 'model.onnx': TINY });
    hub.hubFaults.push(answering(status), answering(status));
    expect((await pull('hf:o/net')).path).toMatch(/model\.onnx$/);
    hub.seen.splice(0);
    hub.hubFaults.push(...Array.from({ length: 20 }, () => answering(status)));
    await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'download-failed' });
    expect(hub.seen).toHaveLength(5);
  });

  it('does not wait for ever for a server that sends nothing', async () => {
    hub.hubFaults.push(...Array.from({ length: 5 }, () => () => true));
    await expect(pull('hf:o/net', {}, { stallMs: 20 })).rejects.toThrow(/nothing comes from 127\.0\.0\.1/);
  });

  it('is stopped while it waits', async () => {
    hub.hubFaults.push(answering(429, { 'retry-after': '200' }));
    const controller = new AbortController();
    const waiting = pull('hf:o/net', {}, { signal: controller.signal }, () => controller.abort());
    await expect(waiting).rejects.toMatchObject({ code: 'stopped' });
  });

  it('is not begun on a disk that is too small', async (context) => {
    const disk = smallDisk(1_000_000);
    if (!disk) return context.skip(NO_MOUNT);
    try {
      hub.add('o/net', { 'model.onnx': CNN });
      const error = await pull('hf:o/net', { HF_HUB_CACHE: disk.folder }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'write-failed' });
      expect(String(error)).toMatch(/takes 3 MB, and the disk of .* has 1 MB free; .*HF_HUB_CACHE/);
      expect(hub.seenBy('storage')).toEqual([]);
    } finally {
      disk.unmount();
    }
  });

  it('gives back what it took when the disk becomes full meanwhile', async (context) => {
    const disk = smallDisk(4_000_000);
    if (!disk) return context.skip(NO_MOUNT);
    try {
      hub.add('o/net', { 'model.onnx': CNN });
      const env = { HF_HUB_CACHE: disk.folder };
      let isFull = false;
      const filling = pull('hf:o/net', env, {}, ({ type }) => {
        if (type === 'progress' && !isFull) disk.resize(600_000);
        isFull ||= type === 'progress';
      });
      await expect(filling).rejects.toMatchObject({ code: 'write-failed' });
      expect(filesBelow(join(disk.folder, 'models--o--net'))).toEqual([]);
      disk.resize(4_000_000);
      expectIs((await pull('hf:o/net', env)).path, CNN);
    } finally {
      disk.unmount();
    }
  });

  it.each([
    ['a file stands in place of a folder', 'models--o--net/snapshots/@/onnx', /a file stands where a folder must be/],
    ['a file stands in place of the cache', '.', /a file stands where a folder must be/],
    [
      'a folder stands in place of a file',
      'models--o--net/snapshots/@/onnx/model.onnx/x',
      /a folder stands where a file must be/,
    ],
    ['a branch was called as the folder of another', 'models--o--net/refs', /a file stands where a folder must be/],
  ])('says in one line what to do where %s', async (_, place, message) => {
    const commit = hub.add('o/net', { 'onnx/model.onnx': TINY });
    const path = join(cache, 'hub', place.replace('@', commit));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'in the way');
    const error = await pull('hf:o/net', { HF_HUB_CACHE: join(cache, 'hub') }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'UserError', code: 'write-failed' });
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toMatch(/make room|‹/);
  });

  it('is done once when two ask for it at once', async () => {
    hub.add('o/net', { 'model.onnx': CNN });
    const [one, other] = await Promise.all([pull('hf:o/net'), pull('hf:o/net')]);
    expect(one.path).toBe(other.path);
    expectIs(one.path, CNN);
    expect(hub.seenBy('storage')).toHaveLength(1);
    const waited = [one, other].flatMap(({ events }) => tellsOf(events, 'waiting'));
    expect(waited).toMatchObject([
      { reason: expect.stringContaining('another process is pulling hf:o/net') as string },
    ]);
  });

  it('tells what cannot be checked', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    hub.statedHash = 'some-mirror-1';
    const { path, events } = await pull('hf:o/net');
    expect(basename(readlinkSync(path))).toBe('some-mirror-1');
    expect(tellsOf(events, 'note')).toMatchObject([{ text: expect.stringMatching(/states no hash/) as string }]);
  });
});

describe('what the hub states no hash and no length of', () => {
  const unstated = () => {
    hub.statedHash = 'later-1';
    hub.statesSizes = false;
  };
  const blobs = () => models().filter((path) => path.includes('blobs'));

  it.each([1, 1000, TINY.length - 1])('is no model where it ends after %d bytes, and is loaded anew', async (bytes) => {
    hub.add('o/net', { 'model.onnx': TINY });
    unstated();
    hub.storageFaults.push(endingAfter(bytes, TINY));
    const error = await pull('hf:o/net').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'download-failed' });
    expect(String(error)).toMatch(
      /hf:o\/net\/model\.onnx is no whole ONNX model, and the hub states no hash.*pull it again/,
    );
    expect(filesBelow(join(cache, 'models--o--net'))).toEqual([]);
    hub.storageFaults.push(endingAfter(TINY.length, TINY));
    expectIs((await pull('hf:o/net')).path, TINY);
  });

  it('is no model where a chunk is missing', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    unstated();
    hub.storageFaults.push(cutChunksAfter(TINY.length - 1, TINY));
    await expect(pull('hf:o/net')).rejects.toThrow(/model\.onnx is no whole ONNX model, .*pull it again/);
    expect(filesBelow(join(cache, 'models--o--net'))).toEqual([]);
  });

  it('is loaded again where it has a hash, and a chunk is missing', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    hub.statesSizes = false;
    hub.storageFaults.push(cutChunksAfter(TINY.length - 1, TINY));
    expectIs((await pull('hf:o/net')).path, TINY);
  });

  it('is no config where it ends too early', async () => {
    const config = '{"id2label":{"0":"a"}}';
    hub.add('o/net', { 'model.onnx': TINY, 'config.json': config });
    hub.hubFaults.push(statingNothing('config.json', sha256(Buffer.from(config))));
    hub.hubFaults.push((request, response) => {
      const isFile = request.url?.endsWith('/config.json') === true;
      return isFile && endingAfter(config.length - 1, Buffer.from(config))(request, response);
    });
    await expect(pull('hf:o/net')).rejects.toThrow(/config\.json is no JSON, .*pull it again/);
    expect(models().filter((path) => path.includes('snapshots'))).toEqual([]);
  });

  it.each(['model.onnx_data', 'weights.bin.data'])('is refused where it lacks bytes of a tensor: %s', async (name) => {
    const { model, data } = external(name);
    const half = data.subarray(0, -1);
    hub.add('o/net', { 'model.onnx': model, [name]: data });
    hub.statesSizes = false;
    hub.hubFaults.push(statingNothing(name, sha256(data)));
    // Of the tensors alone it says no hash, nor how many bytes they are.
    hub.storageFaults.push(
      (request, response) =>
        request.url?.includes(sha256(data)) === true && endingAfter(half.length, data)(request, response),
    );
    const error = await pull('hf:o/net').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'download-failed' });
    expect(String(error)).toContain(
      `hf:o/net/${name} is ${half.length} bytes long, but the model's tensors take ${data.length} of it`,
    );
    expect(models().filter((path) => path.includes('snapshots'))).toEqual([]);
    expect(blobs().map((path) => basename(path))).toEqual([sha256(model)]);
    expect(readFileSync(join((await pull('hf:o/net')).path, '..', name))).toEqual(data);
  });

  it('is loaded anew where a former pull left half of it', async () => {
    const { model, data } = external('model.onnx_data');
    hub.add('o/net', { 'model.onnx': model, 'model.onnx_data': data });
    hub.hubFaults.push(statingNothing('model.onnx_data', sha256(data)));
    const { path } = await pull('hf:o/net');
    for (const blob of blobs()) truncateSync(blob, 3);
    hub.hubFaults.push(statingNothing('model.onnx_data', sha256(data)));
    await pull('hf:o/net');
    expectIs(path, model);
    expectIs(join(path, '..', 'model.onnx_data'), data);
  });
});

describe('what has the right hash', () => {
  it.each(['', '<html>welcome</html>'])('is not kept where it is no model: %j', async (content) => {
    hub.add('o/net', { 'model.onnx': content, 'config.json': '{}' });
    for (let time = 0; time < 2; time++)
      await expect(pull('hf:o/net')).rejects.toMatchObject({
        code: 'not-onnx',
        message: 'hf:o/net/model.onnx is not a whole ONNX model; take another file',
      });
    expect(models()).toEqual([]);
    // One that a former pull has left.
    const blob = join(cache, 'models--o--net', 'blobs', sha256(Buffer.from(content)));
    mkdirSync(dirname(blob), { recursive: true });
    writeFileSync(blob, content);
    await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'not-onnx' });
    expect(existsSync(blob)).toBe(false);
  });

  it('is not kept where it is shorter than the tensors that the model keeps in it', async () => {
    const { model, data } = external('model.onnx_data');
    hub.add('o/net', { 'model.onnx': model, 'model.onnx_data': data.subarray(0, -4) });
    for (let time = 0; time < 2; time++)
      await expect(pull('hf:o/net')).rejects.toMatchObject({ code: 'external-data' });
    expect(models().map((path) => basename(path))).toEqual([sha256(model)]);
  });
});

/** What states of one file nothing but where it lies. */
const statingNothing =
  (name: string, stored: string): HubServer['hubFaults'][number] =>
  ({ method, url = '' }, response) => {
    if (method !== 'HEAD' || !url.endsWith(`/${name}`)) return false;
    response.writeHead(302, { 'x-linked-etag': '"odd-2"', location: `${hub.storageAddress}/${stored}` }).end();
    return true;
  };

/** The tiny network with its first tensor in another file. */
function external(location: string): { model: Buffer; data: Buffer } {
  const proto = fromBinary(ModelProtoSchema, TINY);
  const [first] = proto.graph?.initializer ?? [];
  if (!first) throw new Error('the network has no tensors');
  const data = Buffer.from(first.rawData);
  if (data.length === 0) throw new Error('its tensor is not raw');
  first.rawData = new Uint8Array();
  first.dataLocation = 1;
  first.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: location })];
  return { model: Buffer.from(toBinary(ModelProtoSchema, proto)), data };
}
