import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeModel, knownModels } from '../../src/hub/pulledModels.js';
import { modelHere, networkCalled, resolveModel } from '../../src/hub/resolveModel.js';
import type { ModelEvent, ResolvedModel } from '../../src/hub/modelEvents.js';
import { mark } from '../../src/marker.js';
import { resultOf } from '../../src/resultOf.js';
import { filesBelow } from '../cli/cli.js';
import { SMALL_CNN, TINY_RESNET } from '../models.js';
import { answering, HubServer, sendRange, sha256 } from './hubServer.js';

/** What asks for the rest of a file. */
const REST: unknown = expect.stringMatching(/^bytes=[1-9]\d*-$/);

const TINY = readFileSync(TINY_RESNET);
const CNN = readFileSync(SMALL_CNN);
const expectIs = (path: string, content: Buffer) => expect(sha256(readFileSync(path))).toBe(sha256(content));

let hub: HubServer;
let work: string;
let env: NodeJS.ProcessEnv;
beforeEach(async () => {
  hub = await HubServer.start();
  work = mkdtempSync(join(tmpdir(), 'ort-tl-names-'));
  env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(work, 'hf'), ORT_TL_CACHE: join(work, 'own') };
});
afterEach(async () => {
  await hub.stop();
  rmSync(work, { recursive: true, force: true });
});

const find = (name: string, more: NodeJS.ProcessEnv = {}, refresh = false, see?: (event: ModelEvent) => void) =>
  resultOf<ModelEvent, ResolvedModel>(resolveModel(name, { env: { ...env, ...more }, refresh }), see);
const refusal = (name: string, more: NodeJS.ProcessEnv = {}) =>
  find(name, more).then(
    () => 'nothing',
    (thrown: unknown) => thrown,
  );

describe('a name stands for', () => {
  it('a file, whatever its name', async () => {
    const path = join(work, 'small_cnn');
    copyFileSync(TINY_RESNET, path);
    expect(await find(path)).toEqual({ path, kind: 'file', reference: path, title: 'small_cnn' });
  });

  it('the model of a run’s folder', async () => {
    const run = join(work, 'first');
    mkdirSync(run);
    mark(run, 'run');
    expect(String(await refusal(run))).toMatch(/has no model\.onnx yet; finish it: ort-tl train --resume/);
    copyFileSync(TINY_RESNET, join(run, 'model.onnx'));
    expect(await find(run)).toEqual({ path: join(run, 'model.onnx'), kind: 'run', reference: run, title: 'first' });
    // One that is to be trained, in float.
    const inFloat = join(run, 'model_float32.onnx');
    copyFileSync(SMALL_CNN, inFloat);
    expect(await resultOf(resolveModel(run, { env, trains: true }))).toMatchObject({ path: inFloat, title: 'first' });
    expect(await find(run)).toMatchObject({ path: join(run, 'model.onnx') });
  });

  it('a network that comes with ort-tl', async () => {
    expect(await find('small_cnn')).toMatchObject({ kind: 'embedded', reference: 'small_cnn', title: 'small_cnn' });
    expectIs((await find('small_cnn')).path, CNN);
  });

  it('a network of the registry, wherever that says it is', async () => {
    hub.add('Xenova/resnet-18', { 'onnx/model.onnx': TINY });
    const found = await find('resnet-18');
    expect(found).toMatchObject({ kind: 'hub', reference: 'resnet-18', title: 'resnet-18' });
    expectIs(found.path, TINY);
  });

  it('a network of the hub', async () => {
    hub.add('o/net', { 'onnx/model.onnx': TINY });
    expect(await find('hf:o/net')).toMatchObject({ kind: 'hub', reference: 'hf:o/net', title: 'net' });
  });

  it.each<[string, string, RegExp]>([
    ['resnet18', 'no-such-model', /did you mean resnet-18/],
    ['resnet', 'no-such-model', /did you mean resnet-18 or resnet-50\?/],
    ['SMALL_CNN', 'no-such-model', /did you mean small_cnn\?/],
    ['qqqqqqqqqqqqqqqqqqqqqqq', 'no-such-model', /there are efficientnet_lite0, small_cnn, /],
    ['net.onnx', 'no-such-file', /no model at net\.onnx; check the path/],
    ['models/net', 'no-such-file', /no model at models\/net; check the path/],
    ['hf:', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:net', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:../net', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:o/..', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:o/net@..%2f..%2fx', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:o/net/../../x.onnx', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:o/net/model.safetensors', 'bad-model-name', /expected hf:owner\/repository/],
    ['hf:o/net#sha256=12', 'bad-model-name', /64 hexadecimal digits/],
    ['https://example.org/net.zip', 'bad-model-name', /whose path ends in \.onnx/],
    ['https://example.org/..%2fnet.onnx', 'bad-model-name', /whose path ends in \.onnx/],
    ['https://user:word@example.org/net.onnx', 'bad-model-name', /must hold no user and no password/],
    ['http://example.org/net.onnx', 'bad-model-name', /unencrypted can be changed on the way/],
    ['https://', 'bad-model-name', /no address/],
    [`${'n'.repeat(5000)}.onnx`, 'no-such-file', /no model at n+\.onnx; check the path/],
  ])('nothing: %s', async (name, code, message) => {
    const error = await refusal(name);
    expect(error).toMatchObject({ name: 'UserError', code });
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain('word@');
  });

  it('nothing where it is a folder of something else', async () => {
    expect(String(await refusal(work))).toMatch(/is a folder; expected an ONNX file, or a run's folder/);
  });
});

describe('what is in the cache', () => {
  it('is taken without a question to the network, and asked for anew on demand', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    const { path } = await find('hf:o/net');
    hub.seen.splice(0);
    hub.add('o/net', { 'model.onnx': CNN });
    expect((await find('hf:o/net')).path).toBe(path);
    expect((await find('hf:o/net', { HF_HUB_OFFLINE: '1' }, true)).path).toBe(path);
    expect(modelHere('hf:o/net', env).path).toBe(path);
    expect(networkCalled('hf:o/net', env)).toEqual({ path });
    expect(hub.seen).toEqual([]);
    expectIs((await find('hf:o/net', {}, true)).path, CNN);
  });

  it.each(['1', 'ON', 'yes', 'True'])('is all that there is with HF_HUB_OFFLINE=%s', async (value) => {
    hub.add('o/net', { 'model.onnx': TINY });
    const error = await refusal('hf:o/net', { HF_HUB_OFFLINE: value });
    expect(error).toMatchObject({ code: 'not-pulled' });
    expect(String(error)).toMatch(/hf:o\/net is not in the cache, and HF_HUB_OFFLINE says to load nothing/);
    expect(hub.seen).toEqual([]);
    expect(() => modelHere('hf:o/net', env)).toThrow(/not here; load it: ort-tl models pull hf:o\/net/);
    expect(networkCalled('hf:o/net', env)).toEqual({ path: undefined });
    expect(networkCalled('net.onnx', env)).toBeUndefined();
  });

  it('is loaded anew where it is half a model that was left there, and can be removed', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    const { path } = await find('hf:o/net');
    truncateSync(path, 1000);
    expect(() => modelHere('hf:o/net', env)).toThrow(/hf:o\/net is not here; load it/);
    expectIs((await find('hf:o/net')).path, TINY);
    truncateSync(path, 1000);
    expect(await removeModel('hf:o/net', env)).toMatchObject([{ bytes: 1000 }]);
    expect(existsSync(path)).toBe(false);
  });

  it('is not taken where another program has loaded a variant, or a part of the model', async () => {
    const commit = hub.add('o/net', { 'onnx/model.onnx': TINY, 'onnx/model_fp16.onnx': CNN });
    await find('hf:o/net/onnx/model_fp16.onnx');
    expect(await refusal('hf:o/net', { HF_HUB_OFFLINE: '1' })).toMatchObject({ code: 'not-pulled' });
    expect((await find('hf:o/net')).path).toContain(join(commit, 'onnx', 'model.onnx'));
  });

  it('lies where HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME say', async () => {
    hub.add('o/net', { 'model.onnx': TINY });
    const at = (...parts: string[]) => join(work, ...parts, 'models--o--net');
    expect((await find('hf:o/net')).path).toContain(at('hf', 'hub'));
    expect((await find('hf:o/net', { HF_HUB_CACHE: join(work, 'c') })).path).toContain(at('c'));
    const { path } = await find('hf:o/net', { HF_HOME: '', XDG_CACHE_HOME: join(work, 'x') });
    expect(path).toContain(at('x', 'huggingface', 'hub'));
  });

  it('is listed, with what can be loaded, and removed', async () => {
    hub.add('Xenova/resnet-18', { 'onnx/model.onnx': TINY, 'config.json': '{}' });
    hub.add('o/net', { 'a.onnx': TINY, 'b.onnx': TINY });
    await find('resnet-18');
    await find('hf:o/net/a.onnx');
    await find('hf:o/net/b.onnx');
    const states = () => Object.fromEntries(knownModels(env).map(({ name, state }) => [name, state]));
    expect(states()).toMatchObject({
      small_cnn: 'embedded',
      'resnet-18': 'pulled',
      'resnet-50': 'not pulled',
      'hf:o/net/a.onnx': 'pulled',
      'hf:o/net/b.onnx': 'pulled',
    });
    expect(await removeModel('hf:o/net/a.onnx', env)).toEqual([{ name: 'hf:o/net/a.onnx', bytes: TINY.length }]);
    // Both are one content.
    expectIs((await find('hf:o/net/b.onnx', { HF_HUB_OFFLINE: '1' })).path, TINY);
    await removeModel('hf:o/net', env);
    await removeModel('resnet-18', env);
    expect(filesBelow(join(work, 'hf'))).toEqual([]);
    expect(states()).toMatchObject({ 'resnet-18': 'not pulled' });
  });

  it('keeps what other programs have of a repository when a model of it is removed', async () => {
    const commit = hub.add('o/net', { 'model.onnx': TINY, 'config.json': '{}' });
    const { path } = await find('hf:o/net');
    const weights = join(path, '..', 'model.safetensors');
    copyFileSync(TINY_RESNET, weights);
    await removeModel('hf:o/net', env);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(join(work, 'hf', 'hub', 'models--o--net', 'snapshots', commit))).toEqual([
      'config.json',
      'model.safetensors',
    ]);
  });

  it.each<[string, () => string, string]>([
    ['what comes with ort-tl', () => 'small_cnn', 'bad-arguments'],
    ['a file of the user', () => SMALL_CNN, 'bad-arguments'],
    ['what is not there', () => 'hf:o/net', 'not-pulled'],
    ['what nobody knows', () => 'nonsense', 'not-pulled'],
  ])('%s is not removed', async (_, name, code) => {
    await expect(removeModel(name(), env)).rejects.toMatchObject({ code });
    expect(existsSync(SMALL_CNN)).toBe(true);
  });
});

describe('a file at an address', () => {
  let server: Server;
  let address: string;
  let served: Buffer;
  let etag: string | undefined;
  let ranges: (string | undefined)[];
  beforeEach(async () => {
    [served, etag, ranges] = [CNN, '"1"', []];
    server = createServer((request, response) => {
      ranges.push(request.headers.range);
      response.setHeader('connection', 'close');
      if (etag !== undefined) response.setHeader('etag', etag);
      if (request.url?.startsWith('/missing') === true) response.writeHead(404).end();
      else if (request.url?.startsWith('/cut') === true && ranges.length === 1) {
        response.writeHead(200, { 'content-length': served.length });
        response.write(served.subarray(0, 500_000), () => setTimeout(() => response.destroy(), 200));
      } else {
        const isSame = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
        sendRange(request, response, served, isSame);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const at = server.address();
    address = `http://127.0.0.1:${typeof at === 'object' && at !== null ? at.port : 0}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('is loaded once, checked by the hash that is behind it', async () => {
    const name = `${address}/some/net.onnx?version=2#sha256=${sha256(CNN).toUpperCase()}`;
    const { path, title, reference } = await find(name);
    expect({ title, reference }).toEqual({ title: 'net', reference: name });
    expect(path).toBe(join(work, 'own', 'models', sha256(CNN), 'net.onnx'));
    expectIs(path, CNN);
    await find(name);
    expect(ranges).toHaveLength(1);
    expect(knownModels(env).at(-1)).toMatchObject({ name, state: 'pulled', path, bytes: CNN.length });
    await removeModel(name, env);
    expect(filesBelow(join(work, 'own'))).toEqual([]);
  });

  it('is refused when its hash is another, and not kept', async () => {
    const error = await refusal(`${address}/net.onnx#sha256=${'0'.repeat(64)}`);
    expect(error).toMatchObject({ code: 'wrong-hash' });
    expect(String(error)).toContain(`got ${sha256(CNN)}`);
    expect(filesBelow(join(work, 'own'))).toEqual([]);
  });

  it('says which hash it has when none was asked for', async () => {
    const events: ModelEvent[] = [];
    await find(`${address}/net.onnx`, {}, false, (event) => void events.push(event));
    expect(events.at(-1)).toMatchObject({ text: expect.stringContaining(`#sha256=${sha256(CNN)}`) as string });
  });

  it('goes on where the connection broke off, if it is the same file still', async () => {
    expectIs((await find(`${address}/cut.onnx`)).path, CNN);
    expect(ranges).toEqual([undefined, REST]);
  });

  it('begins anew when the file has become another meanwhile', async () => {
    const other = Buffer.from(CNN);
    // In its weights, and in the part that has arrived.
    other[300_000] = (other[300_000] ?? 0) ^ 1;
    await find(`${address}/cut.onnx`, {}, false, ({ type }) => {
      // Of the same length, under another etag.
      if (type === 'waiting') [served, etag] = [other, '"2"'];
    }).then(({ path }) => expectIs(path, other));
    expect(ranges).toEqual([undefined, REST]);
  });

  it('begins anew where the server does not say whether it is the same', async () => {
    etag = undefined;
    expectIs((await find(`${address}/cut.onnx`)).path, CNN);
    expect(ranges).toEqual([undefined, undefined]);
  });

  it.each<[string, Buffer, string]>([
    ['no ONNX model', Buffer.from('<html>sign in</html>'), 'not-onnx'],
    ['nothing', Buffer.alloc(0), 'not-onnx'],
  ])('is refused when it is %s', async (_, content, code) => {
    served = content;
    expect(await refusal(`${address}/net.onnx`)).toMatchObject({ code });
    expect(filesBelow(join(work, 'own'))).toEqual([]);
  });

  it('that is not there is told', async () => {
    expect(String(await refusal(`${address}/missing.onnx`))).toMatch(
      /there is nothing at http:.*missing\.onnx \(404\)/,
    );
  });

  it('gets no token, also where it is on the hub’s host', async () => {
    hub.hubFaults.push(answering(404));
    await refusal(`${hub.endpoint}/net.onnx`, { HF_TOKEN: 'hf_secret' });
    expect(hub.seen).toMatchObject([{ authorization: undefined }]);
  });
});
